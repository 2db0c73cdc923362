// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// foldingPair is a pair whose service takes tokens in the body, and whose caller knows.
func foldingPair(t testing.TB, h http.Handler, edits ...func(*calls)) *pair {
	t.Helper()
	var p *pair
	taking := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.taking(h).ServeHTTP(w, r) })
	p = newPair(t, taking, append(edits, bare, func(c *calls) { c.peer.BodyFallback = true })...)
	return p
}

// padded makes a request whose header section has so much room left.
func padded(t testing.TB, method, url string, body io.Reader, room int) *http.Request {
	t.Helper()
	req := newRequest(t, method, url, body)
	// "X-Pad", and what the transport adds itself.
	req.Header.Set("X-Pad", strings.Repeat("x", httpect.DefaultHeaderBytes-room-len("X-Pad")-4-len("Accept-Encoding")-4-len("gzip")-len(req.URL.RequestURI())))
	return req
}

// noRoom is too little for a dispatch, and enough for the media type of a fallback.
const noRoom = 300

// onTheWire sees what a transport sends.
type onTheWire struct {
	http.RoundTripper
	t    testing.TB
	last *http.Request
}

func (o *onTheWire) RoundTrip(r *http.Request) (*http.Response, error) {
	o.last = r
	size := len(r.URL.RequestURI())
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + 4
		}
	}
	if size > httpect.DefaultHeaderBytes {
		o.t.Errorf("the header section has %d bytes", size)
	}
	return o.RoundTripper.RoundTrip(r)
}

// watched puts an onTheWire below the transport of a pair.
func watched(t testing.TB, o *onTheWire) func(*calls) {
	return func(c *calls) {
		c.base = func(base http.RoundTripper) http.RoundTripper {
			o.RoundTripper, o.t = base, t
			return o
		}
	}
}

// TestFallbackCall: what has no room in the header goes in the body, and neither the
// handler nor the caller sees anything of it.
func TestFallbackCall(t *testing.T) {
	text := bytes.Repeat([]byte("the body\r\n--"), 10_000)
	for name, c := range map[string]struct {
		body func() io.Reader
		sent []byte
		// length is what the handler is told.
		length int64
		known  bool
	}{
		"no body":              {func() io.Reader { return nil }, nil, 0, true},
		"http.NoBody":          {func() io.Reader { return http.NoBody }, nil, 0, true},
		"a body to read twice": {func() io.Reader { return bytes.NewReader(text) }, text, int64(len(text)), true},
		"a body to read once":  {func() io.Reader { return chunked(text) }, text, -1, false},
		"an empty one":         {func() io.Reader { return chunked(nil) }, nil, -1, false},
		"nearly a delimiter":   {func() io.Reader { return strings.NewReader("\r\n--") }, []byte("\r\n--"), 4, true},
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				for _, policy := range []func(*setup){func(*setup) {}, ignoreBody} {
					var got *original
					var o onTheWire
					p := foldingPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						var err error
						if got, err = look(r); err != nil {
							t.Errorf("the handler's body: %v", err)
						}
						rec, _ := core.ReceivedFromContext(r.Context())
						want := core.Hash{}
						if c.known {
							want = hashOf(c.sent)
						}
						if h := rec.Heads()[0].Claims().OutHash; h != want {
							t.Errorf("out_hash = %v, want %v", h, want)
						}
						io.WriteString(w, "done") //nolint:errcheck // the client looks
					}), over(proto), inWorld(policy), watched(t, &o))
					ctx, task := p.start(t)
					req := padded(t, "PUT", p.site.URL+"/path?query", c.body(), noRoom).WithContext(ctx)
					req.Header.Set("Content-Type", "text/plain")
					req.Header["Content-Language"] = []string{"de", "en"}
					req.Header.Set(httpect.FieldName, "not.a.token")
					before, body, length := req.Header.Clone(), req.Body, req.ContentLength
					resp, err := p.client.Transport.RoundTrip(req)
					if err != nil {
						t.Fatal(err)
					}
					r, err := readReply(resp, nil)
					if err != nil || r.err != nil || string(r.body) != "done" {
						t.Fatalf("RoundTrip = %v, %v", r, err)
					}
					if h, ok := httpect.AnswerOf(resp); !ok || h.Heads()[0].Claims().InpHash != hashOf(c.sent) {
						t.Errorf("AnswerOf = %v, %v; want an answer that names the body", h, ok)
					}
					onlyPred(t, end(ctx, t, task), func() core.UUID { a, _ := httpect.AnswerOf(resp); return a.Heads()[0].Claims().TaskID }(), "the answer")

					want := &original{Method: "PUT", Body: string(c.sent), Length: c.length, Header: http.Header{
						"Content-Type": {"text/plain"}, "Content-Language": {"de, en"}, "X-Pad": req.Header["X-Pad"],
					}}
					if c.length >= 0 {
						want.Header.Set("Content-Length", fmt.Sprint(c.length))
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("the handler sees (-want +got):\n%.2000s", diff)
					}
					if diff := cmp.Diff(before, req.Header); diff != "" || req.Body != body || req.ContentLength != length {
						t.Errorf("the caller's request was changed (-want +got):\n%s", diff)
					}
					if diff := cmp.Diff(before, resp.Request.Header); diff != "" || resp.Request.Body != body {
						t.Errorf("the response's request (-want +got):\n%s", diff)
					}
					// What went over the wire.
					if tokens := tokensIn(o.last.Header); len(tokens) > 0 {
						t.Error("there are tokens in the header")
					}
					if ct := o.last.Header.Get("Content-Type"); !strings.HasPrefix(ct, `multipart/related; type="application/exec+jwt"; boundary=`) {
						t.Errorf("Content-Type = %q", ct)
					}
					if o.last.Header["Content-Language"] != nil {
						t.Error("Content-Language was left in the header")
					}
					if (o.last.ContentLength > 0) != c.known {
						t.Errorf("ContentLength = %d", o.last.ContentLength)
					}
				}
			})
		})
	}
}

// TestFallbackLast: context is dropped before the body is used, and the body has room for
// all of it; where it cannot be used, there is no call.
func TestFallbackLast(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		able   bool
		edit   func(*http.Request)
		// tokens that come with room for both, for one and for none; 0 stands for no call.
		want [3]int
	}{
		"POST":                {"POST", true, func(*http.Request) {}, [3]int{2, 1, 2}},
		"PUT":                 {"PUT", true, func(*http.Request) {}, [3]int{2, 1, 2}},
		"PATCH":               {"PATCH", true, func(*http.Request) {}, [3]int{2, 1, 2}},
		"GET":                 {"GET", true, func(*http.Request) {}, [3]int{2, 1, 0}},
		"DELETE":              {"DELETE", true, func(*http.Request) {}, [3]int{2, 1, 0}},
		"not able":            {"POST", false, func(*http.Request) {}, [3]int{2, 1, 0}},
		"an encoding of mail": {"POST", true, func(r *http.Request) { r.Header["content-transfer-encoding"] = []string{"7bit"} }, [3]int{2, 1, 0}},
		"two media types":     {"POST", true, func(r *http.Request) { r.Header["Content-Type"] = []string{"a/b", "a/b"} }, [3]int{2, 1, 0}},
		"two in another case": {"POST", true, func(r *http.Request) {
			r.Header["Content-Type"], r.Header["content-type"] = []string{"a/b"}, []string{"a/b"}
		}, [3]int{2, 1, 0}},
		"two dispositions":          {"POST", true, func(r *http.Request) { r.Header["Content-Disposition"] = []string{"inline", "inline"} }, [3]int{2, 1, 0}},
		"two encodings":             {"POST", true, func(r *http.Request) { r.Header["Content-Encoding"] = []string{"gzip", "br"} }, [3]int{2, 1, 2}},
		"no room for the type":      {"POST", true, func(r *http.Request) { r.Header.Set("X-More", strings.Repeat("x", noRoom-50)) }, [3]int{2, 1, 0}},
		"too large without a token": {"POST", true, func(r *http.Request) { r.Header.Set("X-More", strings.Repeat("x", noRoom+100)) }, [3]int{2, 1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			came := 0
			p := foldingPair(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				rec, _ := core.ReceivedFromContext(r.Context())
				came = 1 + len(rec.Context())
			}), func(c *calls) { c.peer.Context = 1 }, inWorld(allowPartial))
			if !c.able {
				peer := p.peer
				peer.BodyFallback = false
				p.caller, _ = newService(t, p.domain, p.from, setup{policy: p.from.Policy(), tells: []core.Audience{peer}}, p.told)
				p.client = &http.Client{Transport: newTransport(t, p.caller, p.site.transport(t))}
			}
			ctx, task := p.start(t)
			if _, err := task.Step(ctx, "step", core.StepInput{}); err != nil {
				t.Fatal(err)
			}
			size := len(p.told.next(t).Text()) + len(httpect.FieldName) + 4
			for n, room := range []int{4 * size, size + size/2, noRoom} {
				came = 0
				req := padded(t, c.method, p.site.URL+"/", nil, room).WithContext(ctx)
				if n == 2 {
					c.edit(req)
				}
				// Each is called after the step alone.
				ctx, _ := task.Branch(req.Context())
				r, err := readReply(p.client.Do(req.WithContext(ctx)))
				dispatch := p.told.next(t).Claims()
				if c.want[n] == 0 {
					if core.CodeOf(err) != core.CodeTooLarge || came != 0 {
						t.Errorf("with %d bytes of room: Do = %v, %v, %d tokens came; want too_large and no call", room, r, err, came)
					}
					continue
				}
				if err != nil || r.err != nil || r.StatusCode != 200 || came != c.want[n] {
					t.Errorf("with %d bytes of room: Do = %v, %v, %d tokens came, want %d", room, r, err, came, c.want[n])
				}
				if dispatch.Action != "dispatch" {
					t.Errorf("issued %+v", dispatch)
				}
			}
		})
	}
}

// TestFallbackFieldSpoiled: a field that HTTP would not take is not smuggled in by the body.
func TestFallbackFieldSpoiled(t *testing.T) {
	p := foldingPair(t, untouched(t))
	ctx, task := p.start(t)
	for name, value := range map[string]string{
		"a line end": "text/plain\r\nX: y", "a bare LF": "a\nb", "a zero byte": "a\x00", "too long": strings.Repeat("x", 9000),
	} {
		closed := &closes{Reader: strings.NewReader("body")}
		req := padded(t, "POST", p.site.URL, closed, noRoom).WithContext(ctx)
		req.Header["Content-Type"] = []string{value}
		if r, err := readReply(p.client.Do(req)); core.CodeOf(err) != core.CodeTooLarge || strings.Contains(err.Error(), value) {
			t.Errorf("%s: Do = %v, %v", name, r, err)
		}
		if closed.n == 0 {
			t.Errorf("%s: the body was not closed", name)
		}
	}
	if c := end(ctx, t, task); len(c.Pred) != 0 {
		t.Errorf("pred = %v; want no trace of calls that did not happen", c.Pred)
	}
}

// TestFallbackNotAble: a peer that was thought able and is not says so, and the call
// stands in the graph.
func TestFallbackNotAble(t *testing.T) {
	p := newPair(t, untouched(t), func(c *calls) { c.peer.BodyFallback = true }, answerOptional)
	ctx, task := p.start(t)
	r, err := readReply(p.client.Do(padded(t, "POST", p.site.URL, strings.NewReader("body"), noRoom).WithContext(ctx)))
	if err != nil {
		t.Fatal(err)
	}
	r.refused(t, core.CodeUnsupported)
	onlyPred(t, end(ctx, t, task), p.told.next(t).Claims().TaskID, "the dispatch")
}
