package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// packReader finds the objects of a pack, each with its ID, in memory that depends on their number and on Limits.ObjectBytes, and
// not on what they inflate to: 260 KB can be 256 MB. go-git's own parser holds every object whole.
//
//	survey   front to back: files are hashed as they stream by; of differences only the sizes are looked at
//	resolve  differences, by offset: base + difference -> object, with a small cache of bases
type packReader struct {
	ctx     context.Context
	limits  Limits
	scanner *packfile.Scanner

	objects  []packed // by offset
	inflated int64
	byHash   map[plumbing.Hash]int // only made when differences name their base so
	bases    cache.BufferLRU       // contents by offset
}

// packed is one object of a pack.
type packed struct {
	offset int64
	crc    uint32
	kind   plumbing.ObjectType // that of a difference until it is resolved
	depth  int32               // how many differences lead to a whole object
	base   int64               // a difference's base by offset; unknown when zero
	refers plumbing.Hash       // a difference's base by ID, when it is named so
	hash   plumbing.Hash       // zero until it is known
}

const (
	baseCacheBytes = 16 << 20
	maxDepth       = 1000 // git's own default is 50; each step costs a reader later
)

// errMalformedPack is a pack that contradicts itself.
var errMalformedPack = errors.New("the pack is malformed")

// indexPack reads a pack whole and returns its index, or an *Error of Reason TooLarge.
func indexPack(ctx context.Context, file *os.File, limits Limits) (*idxfile.Writer, plumbing.Hash, error) {
	p := &packReader{
		ctx: ctx, limits: limits, scanner: packfile.NewScanner(interruptible{ctx, file}),
		bases: cache.BufferLRU{MaxSize: baseCacheBytes},
	}
	checksum, err := p.survey()
	if err == nil {
		err = p.resolve()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it ends too early", errMalformedPack)
	}
	if err != nil {
		return nil, checksum, err
	}
	index := new(idxfile.Writer)
	if err := index.OnHeader(uint32(len(p.objects))); err != nil {
		return nil, checksum, err
	}
	for _, o := range p.objects {
		index.Add(o.hash, uint64(o.offset), o.crc)
	}
	return index, checksum, index.OnFooter(checksum)
}

// survey reads the pack once, and its checksum.
func (p *packReader) survey() (plumbing.Hash, error) {
	_, count, err := p.scanner.Header()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if int64(count) > int64(p.limits.Objects) {
		return plumbing.ZeroHash, p.tooLarge("the pack holds more than %d objects", p.limits.Objects)
	}
	for range count {
		header, err := p.scanner.NextObjectHeader()
		if err != nil {
			return plumbing.ZeroHash, err
		}
		o, err := p.look(header)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		p.objects = append(p.objects, o)
	}
	return p.scanner.Checksum()
}

// look reads one object as it streams by.
func (p *packReader) look(header *packfile.ObjectHeader) (o packed, err error) {
	o = packed{offset: header.Offset, kind: header.Type, base: header.OffsetReference, refers: header.Reference}
	if header.Type != plumbing.BlobObject && header.Length > p.limits.ObjectBytes {
		return o, p.objectTooLarge()
	}
	if header.Type.IsDelta() {
		var sizes deltaSizes
		written, crc, err := p.scanner.NextObject(&sizes)
		if err != nil {
			return o, err
		}
		base, result, ok := sizes.read()
		if !ok || written != header.Length {
			return o, errMalformedPack
		}
		o.crc = crc
		if base > p.limits.ObjectBytes || result > p.limits.ObjectBytes {
			return o, p.objectTooLarge()
		}
		return o, p.inflate(result)
	}
	if err := p.inflate(header.Length); err != nil {
		return o, err
	}
	hasher := plumbing.NewHasher(header.Type, header.Length)
	written, crc, err := p.scanner.NextObject(hasher)
	if err == nil && written != header.Length {
		err = errMalformedPack
	}
	o.hash, o.crc = hasher.Sum(), crc
	return o, err
}

// inflate counts what an object comes to.
func (p *packReader) inflate(length int64) error {
	if length < 0 || length > p.limits.UnpackedBytes-p.inflated {
		return p.tooLarge("the pack inflates to more than %d bytes", p.limits.UnpackedBytes)
	}
	p.inflated += length
	return nil
}

func (p *packReader) objectTooLarge() *Error {
	return fail(TooLarge, "keep large files elsewhere, or mark them `-delta` in .gitattributes and repack the repository",
		"the pack holds a directory, commit, tag or stored difference of more than %d bytes", p.limits.ObjectBytes)
}

func (p *packReader) tooLarge(format string, args ...any) *Error {
	return fail(TooLarge, "use a smaller repository", format, args...)
}

// resolve gives every difference its ID. Those that name their base by its ID may have to wait for another one.
func (p *packReader) resolve() error {
	var waiting []int
	for i, o := range p.objects {
		if o.kind.IsDelta() {
			waiting = append(waiting, i)
		}
	}
	for len(waiting) > 0 {
		var left []int
		for _, i := range waiting {
			resolved, err := p.resolveOne(i)
			if err != nil {
				return err
			}
			if !resolved {
				left = append(left, i)
			}
		}
		if len(left) == len(waiting) { // a base outside of the pack, which was not asked for, or a circle
			return fmt.Errorf("%w: it lacks an object that others build on", errMalformedPack)
		}
		waiting = left
	}
	return nil
}

// resolveOne reports false while the base is not known.
func (p *packReader) resolveOne(i int) (bool, error) {
	o := &p.objects[i]
	if o.base == 0 {
		at, known := p.find(o.refers)
		if !known {
			return false, nil
		}
		o.base = p.objects[at].offset
	}
	at, found := p.at(o.base)
	if !found {
		return false, errMalformedPack
	}
	base := p.objects[at]
	if base.hash.IsZero() {
		return false, nil
	}
	if o.depth = base.depth + 1; o.depth > maxDepth {
		return false, p.tooLarge("the pack has chains of more than %d differences", maxDepth)
	}
	content, err := p.content(i)
	if err != nil {
		return false, err
	}
	o.kind, o.hash = base.kind, plumbing.ComputeHash(base.kind, content)
	if p.byHash != nil {
		p.byHash[o.hash] = i
	}
	return true, nil
}

// find returns the object with an ID, if it is known yet.
func (p *packReader) find(hash plumbing.Hash) (int, bool) {
	if p.byHash == nil {
		p.byHash = make(map[plumbing.Hash]int, len(p.objects))
		for i, o := range p.objects {
			if !o.hash.IsZero() {
				p.byHash[o.hash] = i
			}
		}
	}
	at, known := p.byHash[hash]
	return at, known
}

// content returns a whole object of at most Limits.ObjectBytes, whose chain of bases is known.
func (p *packReader) content(i int) ([]byte, error) {
	var chain []packed // what is still to be applied, the last one first
	o := p.objects[i]
	content, known := p.bases.Get(o.offset)
	for ; !known && o.base != 0; content, known = p.bases.Get(o.offset) {
		chain = append(chain, o)
		at, _ := p.at(o.base)
		o = p.objects[at]
	}
	if !known {
		whole, err := p.read(o.offset)
		if err != nil {
			return nil, err
		}
		p.bases.Put(o.offset, whole)
		content = whole
	}
	for _, o := range slices.Backward(chain) {
		difference, err := p.read(o.offset)
		if err != nil {
			return nil, err
		}
		if content, err = patch(content, difference); err != nil {
			return nil, err
		}
		p.bases.Put(o.offset, content)
	}
	return content, nil
}

// at returns the object at an offset.
func (p *packReader) at(offset int64) (int, bool) {
	return slices.BinarySearchFunc(p.objects, offset, func(o packed, offset int64) int { return cmp.Compare(o.offset, offset) })
}

// read inflates what stands at an offset: an object, or a difference.
func (p *packReader) read(offset int64) ([]byte, error) {
	if err := p.ctx.Err(); err != nil {
		return nil, err
	}
	header, err := p.scanner.SeekObjectHeader(offset)
	if err != nil {
		return nil, err
	}
	if header.Length > p.limits.ObjectBytes { // a file, as the base of a difference that lies about its size
		return nil, p.objectTooLarge()
	}
	data := bytes.NewBuffer(make([]byte, 0, header.Length))
	_, _, err = p.scanner.NextObject(data)
	return data.Bytes(), err
}

// patch makes an object of its base and a difference whose sizes were looked at before (gitformat-pack, "Deltified representation").
// go-git's PatchDelta does the same in a buffer that grows to four times the object.
func patch(base, difference []byte) ([]byte, error) {
	header := deltaSizes{kept: difference}
	from, to, ok := header.read()
	if !ok || from != int64(len(base)) {
		return nil, errMalformedPack
	}
	result := make([]byte, 0, to)
	for rest := header.kept; len(rest) > 0; {
		command := rest[0]
		rest = rest[1:]
		piece := rest[:min(int(command), len(rest))] // new bytes, as many as the command says
		if command&0x80 != 0 {
			number := func(bits byte) (n int) {
				for shift := 0; bits != 0; bits, shift = bits>>1, shift+8 {
					if bits&1 != 0 && len(rest) > 0 {
						n |= int(rest[0]) << shift
						rest = rest[1:]
					}
				}
				return n
			}
			offset, length := number(command&0x0f), number(command>>4&0x07)
			if length == 0 {
				length = 64 << 10
			}
			if offset > len(base)-length {
				return nil, errMalformedPack
			}
			piece = base[offset : offset+length]
		} else {
			rest = rest[len(piece):]
		}
		if len(piece) == 0 || len(piece) > cap(result)-len(result) {
			return nil, errMalformedPack
		}
		result = append(result, piece...)
	}
	if len(result) != int(to) {
		return nil, errMalformedPack
	}
	return result, nil
}

// deltaSizes keeps the beginning of a difference, which says how long its base and its result are.
type deltaSizes struct{ kept []byte }

func (d *deltaSizes) Write(p []byte) (int, error) {
	const longest = 20 // two numbers of 64 bits
	d.kept = append(d.kept, p[:min(len(p), longest-len(d.kept))]...)
	return len(p), nil
}

// read takes the two sizes off the beginning.
func (d *deltaSizes) read() (base, result int64, ok bool) {
	next := func() (n int64) {
		for shift := 0; len(d.kept) > 0 && shift < 63; shift += 7 {
			digit := d.kept[0]
			d.kept = d.kept[1:]
			if n |= int64(digit&0x7f) << shift; digit&0x80 == 0 {
				return n
			}
		}
		return -1
	}
	base, result = next(), next()
	return base, result, base >= 0 && result >= 0
}
