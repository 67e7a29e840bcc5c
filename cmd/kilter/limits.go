package main

import (
	"errors"
	"strconv"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"kilter.dev/kilter/manifests"
)

// limits are what the manifests of one tree may cost. Every verb that loads a tree has the same flags, so that what one reads the others do too.
type limits struct {
	file, total      size
	documents, depth count
}

func (l *limits) add(flags *pflag.FlagSet) {
	*l = limits{file: 1 << 20, total: 10 << 20, documents: 10_000, depth: 100}
	flags.Var(&l.file, "max-file-size", "largest file that is read")
	flags.Var(&l.total, "max-total-size", "most that all files may have together")
	flags.Var(&l.documents, "max-documents", "most documents, and items of Lists, in all files together")
	flags.Var(&l.depth, "max-depth", "deepest nesting within a document")
}

// options are the limits as manifests knows them; the zero limits are its defaults.
func (l *limits) options() manifests.Options {
	return manifests.Options{
		MaxFileBytes: int64(l.file), MaxTreeBytes: int64(l.total), MaxDocuments: int(l.documents), MaxDepth: int(l.depth),
	}
}

// size is a flag's number of bytes, written as Kubernetes writes quantities: 512Ki, 1Mi, 1000000.
type size int64

func (s *size) String() string { return resource.NewQuantity(int64(*s), resource.BinarySI).String() }
func (s *size) Type() string   { return "size" }

// Set is a pflag.Value's.
func (s *size) Set(text string) error {
	quantity, err := resource.ParseQuantity(text)
	bytes, whole := quantity.AsInt64()
	if err != nil || !whole || bytes < 1 {
		return errors.New("must be a number of bytes such as 512Ki, 1Mi or 1000000")
	}
	*s = size(bytes)
	return nil
}

// count is a flag's number of things, of which one at least has to be allowed.
type count int

func (c *count) String() string { return strconv.Itoa(int(*c)) }
func (c *count) Type() string   { return "int" }

// Set is a pflag.Value's.
func (c *count) Set(text string) error {
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 {
		return errors.New("must be a number, 1 or more")
	}
	*c = count(number)
	return nil
}
