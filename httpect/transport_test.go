// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

func TestNewTransport(t *testing.T) {
	w := newWorld(t)
	if _, err := httpect.NewTransport(w.service, nil); err != nil {
		t.Errorf("NewTransport over nil: %v", err)
	}
	if _, err := httpect.NewTransport(nil, nil); err == nil {
		t.Error("NewTransport of a nil service: no error")
	}
	if _, err := httpect.NewTransport(newWorld(t, verifyOnly).service, nil); err == nil {
		t.Error("NewTransport of a service that records nothing: no error")
	}
	if _, err := httpect.NewTransport(w.service, nil, httpect.WithAltered(httpect.ReportAltered+1)); err == nil {
		t.Error("NewTransport with a policy that there is not: no error")
	}
	for _, c := range []struct {
		endpoint string
		ok       bool
	}{
		{"https://peer.example", true}, {"http://peer.example:8080", true}, {"https://[::1]:8443", true}, {"peer:9000", true},
		{"https://peer.example/", false}, {"https://peer.example/v1", false}, {"https://Peer.example", false}, {"HTTPS://peer.example", false},
		{"https://peer.example:443", false}, {"http://peer.example:80", false}, {"https://user@peer.example", false}, {"http://", true}, {"https://peer.example?q", false},
	} {
		w := newWorld(t, func(s *setup) {
			s.tells = []core.Audience{{ID: ecttest.Name + "/peer", Endpoints: []string{c.endpoint}, Tokens: true, Answer: core.AnswerOptional}}
		})
		if _, err := httpect.NewTransport(w.service, nil); (err == nil) != c.ok && c.endpoint != "http://" {
			t.Errorf("NewTransport with endpoint %q: %v, want it accepted: %v", c.endpoint, err, c.ok)
		}
	}
}

func TestOrigin(t *testing.T) {
	for in, want := range map[string]string{
		"https://Peer.Example/a?b":     "https://peer.example",
		"https://peer.example:443/":    "https://peer.example",
		"http://peer.example:80":       "http://peer.example",
		"http://peer.example:443":      "http://peer.example:443",
		"https://peer.example:80":      "https://peer.example:80",
		"HTTPS://u:p@peer.example:444": "https://peer.example:444",
		"http://[::1]:80/x":            "http://[::1]",
		"http://[2001:db8::80]/":       "http://[2001:db8::80]",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := httpect.Origin(u); got != want {
			t.Errorf("Origin(%q) = %q, want %q", in, got, want)
		}
	}
}

// copied is a header that a caller took from a request that it got.
func copied() http.Header {
	return http.Header{
		httpect.FieldName: {"a.b.c"}, receiptField: {":AAAA:"}, "X-Other": {"kept"},
		"execution-context": {"d.e.f"}, "EXECUTION-CONTEXT-RECEIPT": {":BBBB:"},
	}
}

// TestUnknownHost: a host that no policy names gets nothing, whoever put it there.
func TestUnknownHost(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		stranger := serve(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) //nolint:errcheck // the trailer counts
			if got := append(tokensIn(r.Header), tokensIn(r.Trailer)...); len(got) > 0 {
				t.Errorf("a stranger got %q", got)
			}
			if r.Header.Get("X-Other") != "kept" || r.Trailer.Get("X-Sum") != "7" {
				t.Errorf("X-Other = %q, X-Sum = %q", r.Header.Get("X-Other"), r.Trailer.Get("X-Sum"))
			}
			writes(10)(w, r)
		}))
		for name, tells := range map[string][]core.Audience{
			"unknown":       nil,
			"named, but no": {{ID: ecttest.Name + "/stranger", Endpoints: []string{stranger.URL}}},
		} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, func(s *setup) { s.tells = tells })
				client := &http.Client{Transport: newTransport(t, w.service, stranger.transport(t))}
				ctx, task := startTask(t, w.service)
				req := newRequest(t, "POST", stranger.URL, chunked([]byte("body"))).WithContext(ctx)
				req.Header = copied()
				req.Trailer = http.Header{httpect.FieldName: {"a.b.c"}, receiptField: {":AAAA:"}, "X-Sum": {"7"}}
				r, err := readReply(client.Do(req))
				if err != nil || r.err != nil || len(r.body) != 10 {
					t.Fatalf("Do = %v, %v", r, err)
				}
				if diff := cmp.Diff(copied(), req.Header); diff != "" {
					t.Errorf("the caller's request was changed (-want +got):\n%s", diff)
				}
				if c := end(ctx, t, task); len(c.Pred) != 0 {
					t.Errorf("pred = %v after a call that leaves no trace", c.Pred)
				}
			})
		}
		// Outside any task as well, which is nothing special there.
		w := newWorld(t)
		client := &http.Client{Transport: newTransport(t, w.service, stranger.transport(t))}
		req := newRequest(t, "POST", stranger.URL, chunked([]byte("body")))
		req.Header = copied()
		req.Trailer = http.Header{"X-Sum": {"7"}}
		if _, err := readReply(client.Do(req)); err != nil {
			t.Errorf("Do without a task: %v", err)
		}
	})
}

// TestKnownHost: a host that gets tokens gets ours alone.
func TestKnownHost(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		p := newPair(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) //nolint:errcheck // the trailer counts
			if got := tokensIn(r.Header); len(got) != 1 || strings.Contains(got[0], "b.c") || strings.Contains(got[0], ":") {
				t.Errorf("%d tokens and receipts came, want the dispatch", len(got))
			}
			if got := tokensIn(r.Trailer); len(got) > 0 {
				t.Errorf("in the trailer came %q", got)
			}
		}), bare, answerOptional, over(proto))
		ctx, _ := p.start(t)
		req := newRequest(t, "POST", p.site.URL, chunked([]byte("body"))).WithContext(ctx)
		req.Header = copied()
		req.Trailer = http.Header{httpect.FieldName: {"a.b.c"}, receiptField: {":AAAA:"}}
		r, err := readReply(p.client.Do(req))
		if err != nil || r.err != nil {
			t.Fatalf("Do = %v, %v", r, err)
		}
		if diff := cmp.Diff(copied(), req.Header); diff != "" {
			t.Errorf("the caller's request was changed (-want +got):\n%s", diff)
		}
	})
}

// TestLateTrailer: a caller may set its trailer while the body is read, as net/http has
// it.
func TestLateTrailer(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) //nolint:errcheck // the trailer counts
			if got := r.Trailer.Get("X-Sum"); got != "7" {
				t.Errorf("X-Sum = %q in the trailer, want 7", got)
			}
			if got := tokensIn(r.Trailer); len(got) > 0 {
				t.Errorf("in the trailer came %q", got)
			}
		})
		p := newPair(t, h, bare, answerOptional, over(proto))
		stranger := serve(t, proto, h)
		if stranger.proto == http2 { // each server has a certificate of its own
			p.client.Transport = newTransport(t, p.caller, insecure(t, p.site))
		}
		for name, url := range map[string]string{"known": p.site.URL, "unknown": stranger.URL} {
			for _, announced := range []http.Header{{"X-Sum": nil}, {"X-Sum": nil, httpect.FieldName: nil}} {
				ctx, _ := p.start(t)
				req := newRequest(t, "POST", url, nil).WithContext(ctx)
				req.Trailer = announced
				req.Body = io.NopCloser(io.MultiReader(strings.NewReader("body"), atEOF(func() {
					req.Trailer.Set("X-Sum", "7")
					req.Trailer.Set(httpect.FieldName, "a.b.c")
				})))
				req.ContentLength = -1
				if r, err := readReply(p.client.Do(req)); err != nil || r.err != nil {
					t.Errorf("%s: Do = %v, %v", name, r, err)
				}
			}
		}
	})
}

// insecure is a transport that trusts every server.
func insecure(t *testing.T, s *site) *http.Transport {
	t.Helper()
	tr := s.transport(t)
	tr.TLSClientConfig.InsecureSkipVerify = true
	return tr
}

// atEOF is a reader without bytes that does something at its end.
type atEOF func()

func (f atEOF) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

// TestRedirect: where a peer sends the client on to a stranger, no token goes along; and
// to itself, each call has a dispatch of its own.
func TestRedirect(t *testing.T) {
	stranger := serve(t, http1, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if got := tokensIn(r.Header); len(got) > 0 {
			t.Errorf("a stranger got %q", got)
		}
		if got := r.Header.Get("X-Other"); got != "kept" {
			t.Errorf("X-Other = %q", got)
		}
	}))
	p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)
		case "/home":
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		}
	}))
	for path, calls := range map[string]int{"/away": 1, "/home": 2} {
		ctx, task := p.start(t)
		req := newRequest(t, "POST", p.site.URL+path, strings.NewReader("body")).WithContext(ctx)
		req.Header.Set("X-Other", "kept")
		r, err := readReply(p.client.Do(req))
		if err != nil || r.err != nil || r.StatusCode != 200 {
			t.Fatalf("Do = %v, %v", r, err)
		}
		var last core.Claims
		for range calls {
			last = p.told.next(t).Claims()
		}
		p.told.none(t)
		if last.Action != "dispatch" || last.OutHash != hashOf([]byte("body")) {
			t.Errorf("%s: the last dispatch is %+v", path, last)
		}
		end(ctx, t, task)
		p.told.next(t)
	}
}
