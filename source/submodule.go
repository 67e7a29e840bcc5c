package source

import (
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// submodules brings the submodules inside a path into the store of the repository that names them: an object is what its ID says, wherever it comes
// from. The commit of each is pinned by the tree that holds it, so it is fetched once, and a signature on the outer commit covers it.
type submodules struct {
	attempt *attempt
	store   *store
	root    plumbing.Hash // the outer commit's root tree

	modules map[string]*config.Submodule // by path; nil before .gitmodules was read
	within  []string                     // the paths of those that were entered
}

// maxSubmodules bounds how many other repositories one commit may have asked.
const maxSubmodules = 50

// submoduleError is why a submodule could not be fetched, as opposed to what is wrong with the commit that names it: it may pass.
type submoduleError struct {
	path  string
	cause *Error
}

func (e *submoduleError) Error() string { return "submodule " + e.path + ": " + e.cause.Message }

// explain says which submodule it is, and keeps the rest.
func (e *submoduleError) explain() *Error {
	told := *e.cause
	told.Message = "submodule " + printable(e.path) + " at " + e.cause.URL + ": " + e.cause.Message
	return &told
}

// tree returns the root tree of a submodule's commit, after fetching it where it is missing; or the reason why it is refused. An error is
// a *submoduleError, or about the store.
func (s *submodules) tree(ctx context.Context, name string, commit plumbing.Hash) (tree plumbing.Hash, refused string, err error) {
	for _, outer := range s.within {
		if strings.HasPrefix(name, outer+"/") {
			return tree, "is a submodule of a submodule", nil
		}
	}
	if len(s.within) == maxSubmodules {
		return tree, "is one submodule too many", nil
	}
	s.within = append(s.within, name)
	if !s.store.has(commit) {
		endpoint, url, reason, err := s.find(ctx, name)
		if err != nil || reason != "" {
			return tree, reason, err
		}
		if err := s.fetch(ctx, name, endpoint, url, commit); err != nil {
			return tree, "", err
		}
	}
	found, tree, err := s.store.peel(commit)
	if err == nil && found != commit {
		return tree, "is a submodule that leads to no commit", nil
	}
	return tree, "", err
}

// find returns where a submodule is, and that as text without credentials.
func (s *submodules) find(ctx context.Context, name string) (endpoint *transport.Endpoint, url, refused string, err error) {
	if s.modules == nil {
		if err := s.read(ctx); err != nil {
			return nil, "", "", err
		}
	}
	module := s.modules[name]
	if module == nil {
		return nil, "", "is a submodule that .gitmodules does not name", nil
	}
	own := s.attempt.repository.endpoint
	if strings.HasPrefix(module.URL, "./") || strings.HasPrefix(module.URL, "../") {
		// As git has it (submodule.c, resolve_relative_url): from the repository's own URL.
		own.Path = path.Join(own.Path, module.URL)
		if strings.HasPrefix(own.Path, "..") || strings.HasPrefix(own.Path, "-") || own.Path == "/" || own.Path == "." ||
			printable(own.Path) != own.Path || strings.ContainsAny(module.URL, "?#@:") {
			return nil, "", "is a submodule whose URL leads nowhere", nil
		}
		return &own, Redact(s.attempt.repository.options.URL) + " " + printable(module.URL), "", nil
	}
	endpoint, failure := parseURL(module.URL, s.attempt.repository.options.AllowInsecure)
	switch {
	case failure != nil:
		return nil, "", "is a submodule that cannot be fetched: " + failure.Message, nil
	case endpoint.Protocol != own.Protocol || !strings.EqualFold(endpoint.Host, own.Host) || endpoint.Port != own.Port || endpoint.User != own.User:
		return nil, "", "is a submodule elsewhere than on the repository's own host: give its URL as ../name.git", nil
	}
	return endpoint, Redact(module.URL), "", nil
}

// read reads .gitmodules; where it is missing or makes no sense there are none.
func (s *submodules) read(ctx context.Context) error {
	s.modules = map[string]*config.Submodule{}
	entries, err := s.store.entries(s.root)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name != ".gitmodules" || !entry.Mode.IsRegular() {
			continue
		}
		if err := s.attempt.need(ctx, s.store, noFilter, entry.Hash); err != nil {
			return err
		}
		content, err := s.content(entry)
		if err != nil {
			return err
		}
		named := config.NewModules()
		if named.Unmarshal(content) != nil {
			return nil
		}
		for _, module := range named.Submodules {
			s.modules[path.Clean(module.Path)] = module
		}
	}
	return nil
}

// content reads a small file whole.
func (s *submodules) content(entry object.TreeEntry) ([]byte, error) {
	file, err := s.store.object(entry.Hash)
	if err != nil {
		return nil, err
	}
	reader, err := file.Reader()
	if err != nil {
		return nil, err
	}
	defer func() { _ = reader.Close() }()
	return io.ReadAll(reader)
}

// fetch brings one commit from another repository of the same host, in an attempt of its own with the same credentials and limits.
func (s *submodules) fetch(ctx context.Context, name string, endpoint *transport.Endpoint, url string, commit plumbing.Hash) error {
	outer := s.attempt
	repository := &Repository{options: outer.repository.options, endpoint: *endpoint, url: url}
	repository.options.Credentials = nil // they were read already
	inner := &attempt{repository: repository, timeout: outer.timeout, limits: outer.limits, credentials: outer.credentials, step: StepList}
	failed := func(err error) error {
		if own, ok := errors.AsType[*storeError](err); ok && inner.wire.failed() == nil {
			return own
		}
		cause := *inner.explain(ctx, err)
		cause.URL = url
		outer.rest = max(outer.rest, inner.rest)
		return &submoduleError{path: name, cause: &cause}
	}
	if err := inner.connect(ctx, repository); err != nil {
		return failed(err)
	}
	defer inner.wire.close()
	if err := inner.bring(ctx, s.store, target{want: commit, pinned: true}, noFilter); err != nil {
		return failed(err)
	}
	if !s.store.has(commit) {
		return failed(fail(RefNotFound, "push it there, or let the outer repository name one that is", "commit %s not found", commit))
	}
	return nil
}
