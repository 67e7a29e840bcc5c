package hook

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"
)

// MinSecret is the length, in bytes, below which a secret is refused: with fewer than 128 bits somebody who has seen one signature could find it.
const MinSecret = 16

// secretAge is how long a secret that was read is good for: the cluster is asked once in that time whatever strangers send, and a secret
// that was changed is in force after it.
const secretAge = 5 * time.Second

// readLimit bounds the wait for the cluster.
const readLimit = 5 * time.Second

// secret is the secret of one Target, as it was read last.
type secret struct {
	read func(context.Context) ([]byte, error)

	mu    sync.Mutex // held while it is read, so that a burst reads it once
	until time.Time
	value []byte
	err   error
}

// get returns the secret, or why it cannot be used. A failure is kept as long as a success.
func (s *secret) get(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.until) {
		return s.value, s.err
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	value, err := s.read(ctx)
	value = bytes.TrimRight(value, "\r\n") // no forge takes them, and echo adds one
	if err == nil && len(value) < MinSecret {
		err = fmt.Errorf("the secret is shorter than %d bytes; make one with `openssl rand -hex 32` and give it to the forge too", MinSecret)
	}
	if err != nil {
		value = nil
	}
	s.value, s.err, s.until = value, err, time.Now().Add(secretAge)
	return s.value, s.err
}
