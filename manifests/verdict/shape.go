package verdict

import (
	"cmp"
	_ "embed"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// The lists that server-side apply merges, a line each: Go type, field, and the keys that tell its entries apart, with their
// defaults; a list without keys is a set. TestMergedLists writes the file from the converter's schema, which takes longer to
// load than everything else that a verdict on one file needs.
//
//go:embed lists.txt
var listsText string

// list names a field that is a list.
type list struct{ structure, field string }

var mergedLists = sync.OnceValue(func() map[list][]string {
	all := map[list][]string{}
	for line := range strings.Lines(listsText) {
		words := strings.Fields(line)
		all[list{words[0], words[1]}] = words[2:]
	}
	return all
})

// shape says where in values of a Go type the lists are that server-side apply merges. A nil shape has none.
type shape struct {
	fields []part // of a struct
	elem   *shape // of a list or a map
	merged bool   // a list whose entries are told apart by keys; without keys, by their values
	keys   []key  // the key fields in the entry's struct
}

type key struct {
	index    []int
	fallback string // the default of a string that is left out
}

type part struct {
	index []int
	shape *shape
}

// shapes holds the shape of each type that was met.
var shapes sync.Map // of reflect.Type to *shape

func shapeOf(t reflect.Type) *shape {
	if known, ok := shapes.Load(t); ok {
		return known.(*shape)
	}
	s := shapeBuilder{}.build(t)
	shapes.Store(t, s)
	return s
}

// shapeBuilder holds the shapes of the structs that were met: some hold themselves.
type shapeBuilder map[reflect.Type]*shape

func (b shapeBuilder) build(t reflect.Type) *shape {
	switch t.Kind() {
	case reflect.Pointer:
		return b.build(t.Elem())
	case reflect.Struct:
		return b.structure(t)
	case reflect.Slice, reflect.Map:
		if elem := b.build(t.Elem()); elem != nil {
			return &shape{elem: elem}
		}
	}
	return nil
}

func (b shapeBuilder) structure(t reflect.Type) *shape {
	if known, ok := b[t]; ok {
		return known
	}
	s := &shape{}
	b[t] = s
	for name, f := range jsonFields(t) {
		inner := b.build(f.Type)
		if keys, ok := mergedLists()[list{typeName(t), name}]; ok {
			inner = mergedList(inner, f.Type.Elem(), keys)
		}
		if inner != nil {
			s.fields = append(s.fields, part{index: f.Index, shape: inner})
		}
	}
	if s.fields == nil {
		b[t] = nil
		return nil
	}
	return s
}

// mergedList adds to a list's shape, if it has one, how its entries are told apart.
func mergedList(s *shape, entry reflect.Type, keys []string) *shape {
	if s == nil {
		s = &shape{}
	}
	s.merged = true
	for _, word := range keys {
		wanted, fallback, _ := strings.Cut(word, "=")
		for name, f := range jsonFields(entry) {
			if name == wanted {
				s.keys = append(s.keys, key{f.Index, fallback})
			}
		}
	}
	return s
}

func typeName(t reflect.Type) string { return t.PkgPath() + "." + t.Name() }

// jsonFields are the fields of a struct by their JSON names; those of an inlined struct are its own, with the index path to them.
func jsonFields(t reflect.Type) iter.Seq2[string, reflect.StructField] {
	return func(yield func(string, reflect.StructField) bool) {
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case name == "-" || name == "" && !(f.Anonymous && f.Type.Kind() == reflect.Struct):
				continue // the type marshals it by itself
			case name != "":
				if !yield(name, f) {
					return
				}
				continue
			}
			for name, inner := range jsonFields(f.Type) {
				inner.Index = append(slices.Clone(f.Index), inner.Index...)
				if !yield(name, inner) {
					return
				}
			}
		}
	}
}

// suspicious reports whether two entries of a merged list could have the same key. It may be wrong about that, and then the
// converter finds nothing; it is never wrong the other way.
func (s *shape) suspicious(v reflect.Value) bool {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return false
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range s.fields {
			if f.shape.suspicious(v.FieldByIndex(f.index)) {
				return true
			}
		}
	case reflect.Map:
		for _, value := range v.Seq2() {
			if s.elem.suspicious(value) {
				return true
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if s.merged && s.repeats(v, i) || s.elem != nil && s.elem.suspicious(v.Index(i)) {
				return true
			}
		}
	}
	return false
}

// repeats reports whether an entry has the keys of an earlier one. Lists are short: a map would cost more.
func (s *shape) repeats(list reflect.Value, i int) bool {
	for j := range i {
		if s.equal(list.Index(i), list.Index(j)) {
			return true
		}
	}
	return false
}

func (s *shape) equal(a, b reflect.Value) bool {
	if a.Kind() != reflect.Struct {
		return a.Equal(b)
	}
	for _, k := range s.keys {
		if !k.equal(a.FieldByIndex(k.index), b.FieldByIndex(k.index)) {
			return false
		}
	}
	return true
}

func (k key) equal(a, b reflect.Value) bool {
	for a.Kind() == reflect.Pointer {
		if a.IsNil() || b.IsNil() {
			return a.IsNil() && b.IsNil()
		}
		a, b = a.Elem(), b.Elem()
	}
	if a.Kind() == reflect.String {
		return cmp.Or(a.String(), k.fallback) == cmp.Or(b.String(), k.fallback)
	}
	return a.Equal(b)
}
