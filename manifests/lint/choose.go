package lint

// maxCompared bounds how many selectors each workload's labels are compared with, after the index has left out those that
// cannot match. No real namespace comes near; a tree made to be slow does.
const maxCompared = 250

// choose finds out which workloads each selector selects, one namespace at a time.
func (f *forest) choose() {
	f.chosen = make([][]int, len(f.members))
	for from := 0; from < len(f.members); {
		to := from + 1
		for to < len(f.members) && f.members[to].Namespace == f.members[from].Namespace {
			to++
		}
		f.chooseWithin(from, to)
		from = to
	}
}

// chooseWithin matches the members from one index up to another with each other. A selector is found by that of its labels
// which the fewest others ask for, and by none when it has only expressions.
func (f *forest) chooseWithin(from, to int) {
	var selectors []int
	choosy := false // a selector can be found by more than one label
	runs := false   // somebody cares for the pods of Jobs
	for i := from; i < to; i++ {
		facts := f.members[i].Facts
		if facts == nil || facts.selects == nil {
			continue
		}
		selectors = append(selectors, i)
		runs = runs || facts.pods == nil
		if len(facts.selects.pairs) > 1 { // others have no choice
			choosy = true
		}
	}
	if len(selectors) == 0 {
		return
	}
	asked := map[string]int{} // how many selectors ask for a label
	if choosy {
		for _, i := range selectors {
			for _, pair := range f.members[i].Facts.selects.pairs {
				asked[pair]++
			}
		}
	}
	by := make(map[string][]int, len(selectors))
	for _, i := range selectors {
		rarest := "" // the key of those without labels
		for _, pair := range f.members[i].Facts.selects.pairs {
			if rarest == "" || asked[pair] < asked[rarest] {
				rarest = pair
			}
		}
		by[rarest] = append(by[rarest], i)
	}
	for i := from; i < to; i++ {
		facts := f.members[i].Facts
		if facts == nil || facts.pods == nil || facts.selects == nil && !runs {
			continue
		}
		left := maxCompared
		f.match(i, by[""], &left)
		for _, pair := range facts.pairs {
			f.match(i, by[pair], &left)
		}
	}
}

// match notes which of the selectors select the workload's pods.
func (f *forest) match(workload int, selectors []int, left *int) {
	for _, i := range selectors[:min(len(selectors), *left)] {
		if i != workload && f.members[i].Facts.selects.matches(f.members[workload].Facts.pods) {
			f.chosen[i] = append(f.chosen[i], workload)
		}
	}
	*left -= min(len(selectors), *left)
}
