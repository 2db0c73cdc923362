// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// setting is how nginx is set up between client and server. It passes no trailers on.
type setting struct {
	buffering, gzip, via bool
	// version is the HTTP version that it speaks to the server.
	version string
}

func (s setting) String() string {
	return fmt.Sprintf("buffering-%s,gzip-%s,via-%s,http-%s", onOff(s.buffering), onOff(s.gzip), onOff(s.via), s.version)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func settings() (all []setting) {
	for n := range 16 {
		all = append(all, setting{n&1 > 0, n&2 > 0, n&4 > 0, []string{"1.0", "1.1"}[n>>3]})
	}
	return all
}

// location is the part of the configuration that passes requests on to a server.
func (s setting) location(server string) string {
	via := ""
	if s.via {
		via = `add_header Via "1.1 nginx" always;`
	}
	return fmt.Sprintf(`
		location /%s/ {
			proxy_pass %s/;
			proxy_http_version %s;
			proxy_set_header Connection "";
			proxy_buffering %s;
			gzip %s;
			%s
		}`, s, server, s.version, onOff(s.buffering), onOff(s.gzip), via)
}

// behind lets the caller of a pair reach its peer at another place.
func (p *pair) behind(t *testing.T, url string, policy core.Policy, opts ...httpect.TransportOption) {
	t.Helper()
	p.peer.Endpoints = []string{url}
	p.told = newSeen()
	p.caller, _ = newService(t, p.domain, p.from, setup{policy: policy, tells: []core.Audience{p.peer}}, p.told)
	base := p.site.transport(t)
	base.DisableCompression = false
	p.client = &http.Client{Transport: newTransport(t, p.caller, base, opts...)}
}

// callEnd is what comes of a call.
type callEnd struct {
	// Code is that of the error, broken tells of an error that has none.
	Code   core.Code
	Broken bool
	// Body is how many bytes came.
	Body int
	// Answer tells that there is one that is valid, Altered that the response counts as
	// altered.
	Answer, Altered bool
}

// TestNginxAnswers writes down what arrives through nginx as Debian 12 has it, and what
// is reported.
func TestNginxAnswers(t *testing.T) {
	needNginx(t)
	const small, large, posted, event, piece = 3000, 100_000, 50_000, "data: an event\n\n", 1500
	mux := http.NewServeMux()
	mux.HandleFunc("GET /small", writes(small))
	mux.HandleFunc("GET /large", writes(large/2, large/2))
	mux.HandleFunc("POST /post", func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); n != posted || err != nil {
			t.Errorf("%d bytes came, %v", n, err)
		}
		writes(piece)(w, r)
	})
	mux.HandleFunc("GET /events", with("Content-Type", "text/event-stream", func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			io.WriteString(w, event) //nolint:errcheck // the client looks
			http.NewResponseController(w).Flush()
		}
	}))
	mux.HandleFunc("GET /broken", func(w http.ResponseWriter, r *http.Request) {
		writes(large)(w, r)
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	p := newPair(t, mux)
	var locations strings.Builder
	for _, s := range settings() {
		locations.WriteString(s.location(p.site.URL))
	}
	url := startNginx(t, "", locations.String())

	// want says what a transport gives that fails what was altered, and one that reports.
	want := func(s setting, path string) (fail, report callEnd) {
		switch path {
		case "/small", "/post": // the answer is a header, and comes through
			n := map[string]int{"/small": small, "/post": piece}[path]
			fail = callEnd{Body: n, Answer: true}
			report = fail
			if s.gzip {
				// The bytes differ, and decoded they do not. All of them are held back.
				fail = callEnd{Code: core.CodeAltered, Answer: true, Altered: true}
				report.Altered = true
			}
			return fail, report
		}
		// The answer is a trailer. Over HTTP/1.1 it was announced and taken away; over
		// HTTP/1.0 there is none, and nothing says so but a mark.
		n := map[string]int{"/large": large, "/events": 3 * len(event), "/broken": large}[path]
		switch {
		case s.version == "1.1" && path == "/broken":
			fail = callEnd{Broken: true, Body: n}
			return fail, fail
		case s.version == "1.1":
			return callEnd{Code: core.CodeAltered, Body: n, Altered: true}, callEnd{Body: n, Altered: true}
		case s.via:
			// Over HTTP/1.0 nobody can tell where a body was cut.
			return callEnd{Code: core.CodeAltered, Altered: true}, callEnd{Body: n, Altered: true}
		}
		fail = callEnd{Code: core.CodeAnswer}
		return fail, fail
	}
	for name, policy := range policies {
		p.behind(t, url, p.from.Policy(), httpect.WithAltered(policy))
		for _, s := range settings() {
			for _, path := range []string{"/small", "/large", "/post", "/events", "/broken"} {
				t.Run(fmt.Sprint(name, "/", s, path), func(t *testing.T) {
					ctx, task := p.start(t)
					method, body := "GET", io.Reader(nil)
					if path == "/post" {
						method, body = "POST", bytes.NewReader(bytes.Repeat([]byte("x"), posted))
					}
					r, err := readReply(p.client.Do(newRequest(t, method, fmt.Sprint(url, "/", s, path), body).WithContext(ctx)))
					if err != nil || r.StatusCode != 200 {
						t.Fatalf("Do = %v, %v", r, err)
					}
					fail, report := want(s, path)
					expect := map[string]callEnd{"fail": fail, "report": report}[name]
					answer, answered := httpect.AnswerOf(r.Response)
					_, altered := httpect.AlteredOf(r.Response)
					got := callEnd{core.CodeOf(r.err), r.err != nil && core.CodeOf(r.err) == 0, len(r.body), answered, altered}
					if path == "/broken" && got.Broken {
						got.Body = large // how much of it came before the end is a matter of time
					}
					if diff := cmp.Diff(expect, got); diff != "" {
						t.Errorf("%v (-want +got):\n%s", r.err, diff)
					}
					if got.Broken && !errors.Is(r.err, io.ErrUnexpectedEOF) {
						t.Errorf("reading = %v, want that the body was cut", r.err)
					}
					if hasVary(r.Header) != 1 || hasOurs(r.Header) || hasOurs(r.Trailer) || r.Uncompressed != s.gzip {
						t.Errorf("Vary = %q, Uncompressed = %v", r.Header["Vary"], r.Uncompressed)
					}
					if n := len(p.told.codes(&p.told.altered)); n > 1 || (n == 1) != expect.Altered {
						t.Errorf("observers were told %d times", n)
					}
					before, what := p.told.next(t).Claims().TaskID, "the dispatch"
					if answered {
						before, what = answer.Heads()[0].Claims().TaskID, "the answer"
					}
					onlyPred(t, end(ctx, t, task), before, what)
					p.told.next(t)
				})
			}
		}
	}
	if got := p.seen.codes(&p.seen.rejected); len(got) > 0 {
		t.Errorf("the server refused %v", got)
	}
}

// TestNginxResends: nginx sends what a server did not answer to the next one of a group,
// with the same fields, unless the method is POST or PATCH.
func TestNginxResends(t *testing.T) {
	needNginx(t)
	for _, c := range []struct {
		method       string
		status, runs int
	}{{"GET", 200, 2}, {"PUT", 200, 2}, {"POST", 502, 1}} {
		t.Run(c.method, func(t *testing.T) {
			var ran atomic.Int32
			p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body) //nolint:errcheck // the connection counts
				if ran.Add(1) == 1 {
					panic(http.ErrAbortHandler)
				}
				writes(10)(w, r)
			}))
			addr := p.site.Listener.Addr().String()
			url := startNginx(t, fmt.Sprintf("upstream group { server %s; server %s; }", addr, addr),
				"location / { proxy_pass http://group; }")
			p.behind(t, url, p.from.Policy())
			ctx, _ := p.start(t)
			var body io.Reader
			if c.method != "GET" {
				body = strings.NewReader("sent")
			}
			r, err := readReply(p.client.Do(newRequest(t, c.method, url, body).WithContext(ctx)))
			if err != nil || r.StatusCode != c.status || int(ran.Load()) != c.runs {
				t.Errorf("Do = %v, %v, the handler ran %d times; want status %d and %d times", r, err, ran.Load(), c.status, c.runs)
			}
			if (r.err == nil) != (c.status == 200) {
				t.Errorf("reading: %v", r.err)
			}
			for range c.runs {
				p.told.next(t)
			}
			p.told.none(t)
		})
	}
}
