package source_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"os"
	"testing"
)

// TestMain reads all that the tests and the package print, and fails when the password that every test uses is in it.
func TestMain(m *testing.M) {
	os.Exit(watchingForCanary(m.Run))
}

func watchingForCanary(run func() int) (code int) {
	stdout, stderr := os.Stdout, os.Stderr
	reader, writer, err := os.Pipe()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	os.Stdout, os.Stderr = writer, writer
	log.SetOutput(writer)
	found := make(chan bool, 1)
	go func() { found <- passOn(stdout, reader, canary) }()
	code = run()
	_ = writer.Close()
	if <-found {
		fmt.Fprintln(stderr, "FAIL: the output above holds a password")
		return 1
	}
	return code
}

// passOn copies everything, and reports whether the word is in it, be it in two pieces.
func passOn(to io.Writer, from io.Reader, word string) (found bool) {
	kept := []byte{}
	piece := make([]byte, 4096)
	for {
		n, err := from.Read(piece)
		_, _ = to.Write(piece[:n])
		kept = append(kept, piece[:n]...)
		found = found || bytes.Contains(kept, []byte(word))
		kept = kept[max(0, len(kept)-len(word)):]
		if err != nil {
			return found
		}
	}
}

func TestCanaryIsFoundInPieces(t *testing.T) {
	said := io.MultiReader(bytes.NewReader([]byte("it is "+canary[:5])), bytes.NewReader([]byte(canary[5:]+", you see")))
	if !passOn(io.Discard, said, canary) {
		t.Error("a password in two pieces is not found")
	}
	if passOn(io.Discard, bytes.NewReader([]byte(canary[1:])), canary) {
		t.Error("a part of it is taken for the whole")
	}
}
