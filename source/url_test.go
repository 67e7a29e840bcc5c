package source_test

import (
	"errors"
	"strings"
	"testing"

	"kilter.dev/kilter/source"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	for url, c := range map[string]struct {
		insecure bool
		reason   source.Reason // empty when the URL is accepted
		shown    string
	}{
		"https://git.example.com/team/repo.git":           {shown: "https://git.example.com/team/repo.git"},
		"https://git.example.com:8443/team/a%20b/":        {shown: "https://git.example.com:8443/team/a b/"},
		"HTTPS://git.example.com/team":                    {shown: "https://git.example.com/team"},
		"https://[::1]:8443/team":                         {shown: "https://[::1]:8443/team"},
		"http://git.example.com/team":                     {insecure: true, shown: "http://git.example.com/team"},
		"http://git.example.com/other":                    {reason: source.InsecureURL, shown: "http://git.example.com/other"},
		"":                                                {reason: source.InvalidURL, shown: "(malformed URL)"},
		"https://":                                        {reason: source.InvalidURL, shown: "https://(malformed URL)"},
		"https://git.example.com":                         {reason: source.InvalidURL, shown: "https://git.example.com"},
		"https://git.example.com:99999/x":                 {reason: source.InvalidURL, shown: "https://git.example.com:99999/x"},
		"https://u:" + canary + "@git.example.com/x":      {reason: source.InvalidURL, shown: "https://git.example.com/x"},
		"https://" + canary + "@git.example.com/x":        {reason: source.InvalidURL, shown: "https://git.example.com/x"},
		"https://u:" + canary + "\n@git.example.com/x":    {reason: source.InvalidURL, shown: "https://(malformed URL)"},
		"https://u:" + canary + "%zz@git.example.com/x":   {reason: source.InvalidURL, shown: "https://(malformed URL)"},
		"https://u:" + canary:                             {reason: source.InvalidURL, shown: "https://(malformed URL)"},
		"https:u:" + canary + "@git.example.com/x":        {reason: source.InvalidURL, shown: "(malformed URL)"},
		"https://git.example.com/x?token=" + canary:       {reason: source.InvalidURL, shown: "https://git.example.com/x"},
		"https://git.example.com/x#" + canary:             {reason: source.InvalidURL, shown: "https://git.example.com/x"},
		"https://a.example/https://u:" + canary + "@b/x":  {shown: "https://a.example/…@b/x"},
		"https://a.example/u:" + canary + "%40b/x":        {shown: "https://a.example/…@b/x"},
		"git@git.example.com:team/repo.git":               {shown: "git.example.com:team/repo.git"},
		"git@git.example.com:-oProxyCommand=x":            {reason: source.InvalidURL, shown: "git.example.com:-oProxyCommand=x"},
		"u:" + canary + "@git.example.com:team/repo.git":  {reason: source.InvalidURL, shown: "(malformed URL)"},
		"ssh://git@git.example.com/team/repo.git":         {shown: "ssh://git.example.com/team/repo.git"},
		"ssh://git.example.com:2222/~ann/repo.git":        {shown: "ssh://git.example.com:2222/~ann/repo.git"},
		"ssh://u:" + canary + "@git.example.com/team.git": {reason: source.InvalidURL, shown: "ssh://git.example.com/team.git"},
		"ssh://git@git.example.com/a%0Ab":                 {reason: source.InvalidURL, shown: `"ssh://git.example.com/a\nb"`},
		"ssh://git@git.example.com":                       {reason: source.InvalidURL, shown: "ssh://git.example.com"},
		"git://git.example.com/team":                      {reason: source.UnsupportedURL, shown: "git://git.example.com/team"},
		"file:///srv/team":                                {reason: source.UnsupportedURL, shown: "/srv/team"},
		"file://srv/team":                                 {reason: source.UnsupportedURL, shown: "file://srv/team"},
		"/srv/team":                                       {reason: source.UnsupportedURL, shown: "/srv/team"},
		"./team":                                          {reason: source.UnsupportedURL, shown: "./team"},
		"ext::sh -c 'echo " + canary + "'":                {reason: source.InvalidURL, shown: "(malformed URL)"},
	} {
		t.Run(strings.ReplaceAll(url, canary, "PASSWORD"), func(t *testing.T) {
			if shown := source.Redact(url); shown != c.shown {
				t.Errorf("shown as %s; want %s", shown, c.shown)
			}
			_, err := source.Open(source.Options{URL: url, AllowInsecure: c.insecure})
			if c.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if refused := checkError(t, err, c.reason); refused.err.Transient() || refused.err.Hint == "" {
				t.Errorf("want a hint and no other try: %v", err)
			}
		})
	}
}

func TestRefsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, ref := range []source.Ref{
		{Branch: "a", Tag: "b"},
		{Branch: "a..b"},
		{Branch: "a b"},
		{Tag: "x\n"},
		{SemVer: "latest"},
		{SemVer: ">=1", Tag: "v1"},
		{Name: "main"},
		{Name: "HEAD"},
		{Commit: "abc1234"},
		{Commit: source.Commit(strings.Repeat("g", 40))},
		{Commit: source.Commit(strings.Repeat("a", 64))},
	} {
		_, err := source.Open(source.Options{URL: "https://git.example.com/x", Ref: ref})
		if err == nil {
			t.Errorf("%+v was accepted", ref)
			continue
		}
		checkError(t, err, source.InvalidRef)
	}
}

// No part of a URL that may be a password is ever shown, whatever stands around it.
func FuzzRedact(f *testing.F) {
	for _, seed := range [][2]string{
		{"https://user", "git.example.com/team/repo.git"},
		{"https://us%zzer", "git.example.com"},
		{"https://a/b?c", "d"},
		{"https://a/b#c", "d@e"},
		{"https:/user", "host/x"},
		{"https:user", "host/x"},
		{"user", "host:path"},
		{"ssh://git", "host:22/x"},
		{"https://a:b", "[::1]:99999/"},
		{"http://\x7f", "\n"},
		{"/srv/", "x"},
		{"ext::sh -c ", ""},
		{"https://host:80", ":90@x"},
		{"//u", "h/"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		url := before + ":" + canary + "@" + after
		if shown := source.Redact(url); strings.Contains(shown, canary) {
			t.Errorf("Redact(%q) shows the password: %s", url, shown)
		}
		repository, err := source.Open(source.Options{URL: url, AllowInsecure: true})
		if err != nil {
			refused, _ := errors.AsType[*source.Error](err)
			checkError(t, err, refused.Reason)
			return
		}
		if strings.Contains(repository.URL(), canary) {
			t.Errorf("URL shows the password: %s", repository.URL())
		}
	})
}
