package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// wire is one attempt's way to the server: HTTP or SSH. Everything on it ends with the context that list was given.
type wire interface {
	// list connects and returns the server's refs; transport.ErrEmptyRemoteRepository when it has none.
	list(ctx context.Context) (*packp.AdvRefs, error)
	// ask sends one request for objects, after list; it may be called again when an answer was of no use.
	ask(ctx context.Context, request *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
	// failed returns the first thing that went wrong, or nil; forget drops it, before the attempt tries another way.
	failed() error
	forget()
	// close ends every connection of the attempt, and returns when nothing of them is left.
	close()
}

// newWire returns the wire that the repository's URL asks for.
func (r *Repository) newWire(credentials Credentials) (wire, *Error) {
	if r.endpoint.Protocol == "ssh" {
		w, failure := newSSHWire(r.endpoint, credentials, r.options)
		if failure != nil {
			return nil, failure
		}
		return w, nil
	}
	w, failure := newHTTPWire(r.endpoint, credentials, r.options.Limits)
	if failure != nil {
		return nil, failure
	}
	return w, nil
}

// memory keeps the first thing that went wrong on a wire as it was: go-git and net/http turn many errors into text.
type memory struct {
	mu      sync.Mutex
	failure error
}

func (m *memory) remember(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure == nil {
		m.failure = err
	}
	return err
}

func (m *memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = nil
}

func (m *memory) failed() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failure
}

// The two things that a wire carries, and whose length is capped.
const (
	refList = "the list of refs"
	onePack = "the pack"
)

// capError says that the server sent more than a limit allows.
type capError struct {
	what  string
	limit int64
}

func (e *capError) Error() string { return fmt.Sprintf("%s is longer than %d bytes", e.what, e.limit) }

// capped ends with a *capError once more has been read than is allowed. The memory keeps every error but io.EOF.
type capped struct {
	from   io.Reader
	memory *memory
	left   int64
	over   capError
}

func (m *memory) capped(from io.Reader, what string, limit int64) *capped {
	return &capped{from: from, memory: m, left: limit, over: capError{what: what, limit: limit}}
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	if c.left -= int64(n); c.left < 0 {
		n, c.left, err = n+int(c.left), 0, &c.over
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = c.memory.remember(err)
	}
	return n, err
}
