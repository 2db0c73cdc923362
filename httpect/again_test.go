// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// refusal is a problem document as long as asked for, at least.
func refusal(code string, size int) string {
	doc := `{"type":"about:blank","title":"t","status":403,"code":"` + code + `"}`
	return doc + strings.Repeat(" ", max(0, size-len(doc)))
}

// maxRefusal is how long a problem document may be that the transport reads.
const maxRefusal = 4 << 10

// twice sends every first dispatch twice and gives the second response, as net/http does
// where a connection broke.
func twice(base http.RoundTripper) http.RoundTripper {
	var calls atomic.Int32
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if calls.Add(1) == 1 {
			var body io.ReadCloser
			if r.Body != nil && r.Body != http.NoBody {
				b, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				body, r.Body = io.NopCloser(bytes.NewReader(b)), io.NopCloser(bytes.NewReader(b))
			}
			resp, err := base.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			io.Copy(io.Discard, resp.Body) //nolint:errcheck // the second counts
			resp.Body.Close()
			r.Body = body
		}
		return base.RoundTrip(r)
	})
}

// TestAgain: what was sent twice below is dispatched once more where that is safe.
func TestAgain(t *testing.T) {
	for _, c := range []struct {
		method string
		body   string // "", "again" for one that can be got again, "once"
		key    bool
		want   bool
	}{
		{"GET", "", false, true},
		{"GET", "again", false, true},
		{"OPTIONS", "", false, true},
		{"TRACE", "", false, true},
		{"PUT", "again", false, true},
		{"PUT", "", false, true},
		{"PUT", "once", false, false},
		{"DELETE", "", false, true},
		{"DELETE", "once", false, false},
		{"HEAD", "", false, false}, // there is no body to read the code from
		{"POST", "again", false, false},
		{"POST", "again", true, false},
		{"POST", "", false, false},
		{"PATCH", "again", false, false},
		{"PATCH", "again", true, false},
		{"CONNECTED", "", false, false},
		{"get", "", false, false},
	} {
		t.Run(fmt.Sprintf("%s, body %q, key %v", c.method, c.body, c.key), func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				var ran atomic.Int32
				p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					ran.Add(1)
					io.Copy(w, r.Body) //nolint:errcheck // the client looks
				}), over(proto), func(c *calls) { c.base = twice }, inWorld(allowPartial))
				ctx, task := p.start(t)
				var body io.Reader
				switch c.body {
				case "again":
					body = strings.NewReader("sent")
				case "once":
					body = chunked([]byte("sent"))
				}
				req := newRequest(t, c.method, p.site.URL, body).WithContext(ctx)
				if c.key {
					req.Header.Set("Idempotency-Key", "7")
				}
				r, err := readReply(p.client.Do(req))
				if err != nil {
					t.Fatal(err)
				}
				first := p.told.next(t).Claims()
				if got := p.seen.codes(&p.seen.rejected); len(got) != 1 || got[0] != core.CodeReplayed {
					t.Errorf("the peer refused %v, want the one replay", got)
				}
				if !c.want {
					p.told.none(t)
					if r.StatusCode != http.StatusForbidden || ran.Load() != 1 || c.method != "HEAD" && !bytes.Contains(r.body, []byte(`"code":"replayed"`)) {
						t.Errorf("%v, body %q, the handler ran %d times", r, r.body, ran.Load())
					}
					if _, err := io.ReadAll(r.Body); err == nil {
						t.Error("no error after what says why the call was refused")
					}
					onlyPred(t, end(ctx, t, task), first.TaskID, "the dispatch")
					return
				}
				second := p.told.next(t).Claims()
				p.told.none(t)
				if r.StatusCode != 200 || r.err != nil || ran.Load() != 2 || c.body != "" && string(r.body) != "sent" {
					t.Errorf("%v, body %q, the handler ran %d times", r, r.body, ran.Load())
				}
				if second.TaskID == first.TaskID || second.OutHash != first.OutHash {
					t.Errorf("the second dispatch is %+v, the first %+v", second, first)
				}
				onlyPred(t, second, first.TaskID, "the first dispatch")
				answer, ok := httpect.AnswerOf(r.Response)
				if !ok {
					t.Fatal("AnswerOf: none")
				}
				onlyPred(t, answer.Heads()[0].Claims(), second.TaskID, "the second dispatch")
				onlyPred(t, end(ctx, t, task), answer.Heads()[0].Claims().TaskID, "the answer")
			})
		})
	}
}

// TestAgainOnce: there is never a third dispatch, and what the second is refused with is
// for the caller.
func TestAgainOnce(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		var came atomic.Int32
		doc := refusal("replayed", 0)
		p := newPair(t, with("Content-Type", "application/problem+json", func(w http.ResponseWriter, _ *http.Request) {
			came.Add(1)
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, doc) //nolint:errcheck // the client looks
		}), bare, over(proto), answerOptional)
		ctx, task := p.start(t)
		r, err := p.call(ctx, t, "GET", "/", nil)
		if err != nil || r.err != nil || r.StatusCode != http.StatusForbidden || string(r.body) != doc || r.ContentLength != int64(len(doc)) {
			t.Errorf("%v, %v, body %q", err, r, r.body)
		}
		p.told.next(t)
		onlyPred(t, end(ctx, t, task), p.told.next(t).Claims().TaskID, "the second dispatch")
		if came.Load() != 2 {
			t.Errorf("%d requests came, want 2", came.Load())
		}
	})
}

// TestSaysReplayed goes through refusals that are the one, and that are not; those go to
// the caller as they came.
func TestSaysReplayed(t *testing.T) {
	answer := func(p *pair, r *http.Request) string {
		return p.to.Token(p.from.Identity).After(t, true, r.Header[httpect.FieldName][0]).Sign(t)
	}
	for _, c := range []struct {
		name   string
		status int
		media  string
		doc    string
		extra  func(p *pair, w http.ResponseWriter, r *http.Request)
		want   bool
	}{
		{name: "ours", want: true},
		{name: "a parameter", media: "Application/Problem+JSON; charset=utf-8", want: true},
		{name: "no more than the code", doc: `{"code":"replayed"}`, want: true},
		{name: "as long as is read", doc: refusal("replayed", maxRefusal), want: true},
		{name: "one longer", doc: refusal("replayed", maxRefusal+1)},
		{name: "one shorter", doc: refusal("replayed", maxRefusal-1), want: true},
		{name: "another class", doc: refusal("rejected", 0)},
		{name: "another spelling", doc: refusal("Replayed", 0)},
		{name: "more behind the code", doc: refusal("replayed ", 0)},
		{name: "no code", doc: `{"title":"replayed"}`},
		{name: "another type of code", doc: `{"code":["replayed"]}`},
		{name: "deeper", doc: `{"a":{"code":"replayed"}}`},
		{name: "an array", doc: `[{"code":"replayed"}]`},
		{name: "no JSON", doc: `code=replayed`},
		{name: "more behind", doc: refusal("replayed", 0) + "x"},
		{name: "cut short", doc: strings.TrimSuffix(refusal("replayed", 0), "}")},
		{name: "nothing", doc: " "},
		{name: "another status", status: http.StatusConflict},
		{name: "a good status", status: http.StatusOK},
		{name: "another media type", media: "application/json"},
		{name: "no media type", media: " "},
		{name: "encoded", extra: func(_ *pair, w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "br") }},
		{name: "of no known length", extra: func(_ *pair, w http.ResponseWriter, _ *http.Request) {
			w.Header().Del("Content-Length")
			w.WriteHeader(http.StatusForbidden)
			http.NewResponseController(w).Flush()
		}},
		{name: "by a handler", extra: func(p *pair, w http.ResponseWriter, r *http.Request) {
			w.Header().Set(httpect.FieldName, answer(p, r))
		}},
		{name: "by a handler that streams", extra: func(_ *pair, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", httpect.FieldName)
			if r.ProtoMajor == 1 { // where a length leaves no room for a trailer
				w.Header().Del("Content-Length")
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				if c.doc == "" {
					c.doc = refusal("replayed", 0)
				}
				if c.media == "" {
					c.media = "application/problem+json"
				}
				if c.status == 0 {
					c.status = http.StatusForbidden
				}
				var came atomic.Int32
				var p *pair
				p = newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if came.Add(1) == 2 {
						return
					}
					w.Header().Set("Content-Type", c.media)
					w.Header().Set("Content-Length", strconv.Itoa(len(c.doc)))
					if c.extra != nil {
						c.extra(p, w, r)
					}
					w.WriteHeader(c.status)
					io.WriteString(w, c.doc) //nolint:errcheck // the client looks
				}), bare, over(proto), answerOptional)
				ctx, _ := p.start(t)
				r, err := p.call(ctx, t, "GET", "/", nil)
				if err != nil || r.err != nil {
					t.Fatalf("%v, %v", err, r)
				}
				want := int32(1)
				if c.want {
					want = 2
				} else if r.StatusCode != c.status || string(r.body) != c.doc {
					t.Errorf("the caller got %v, body %q, want %q", r, r.body, c.doc)
				}
				if came.Load() != want {
					t.Errorf("%d requests came, want %d", came.Load(), want)
				}
			})
		})
	}
}

// TestAgainCutShort: of a refusal that breaks off the caller gets what came and the error.
func TestAgainCutShort(t *testing.T) {
	doc := refusal("replayed", 0)
	p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, doc) //nolint:errcheck // the client looks
	}), bare, answerOptional)
	ctx, _ := p.start(t)
	r, err := p.call(ctx, t, "GET", "/", nil)
	if err != nil || string(r.body) != doc || !errors.Is(r.err, io.ErrUnexpectedEOF) {
		t.Errorf("%v, %v, body %q", err, r, r.body)
	}
	p.told.next(t)
	p.told.none(t)
}

// TestAgainNot: where the caller gave up, or the body cannot be got again after all, it
// gets the refusal.
func TestAgainNot(t *testing.T) {
	doc := refusal("replayed", 0)
	refuses := with("Content-Type", "application/problem+json", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, doc) //nolint:errcheck // the client looks
	})
	t.Run("the context is done", func(t *testing.T) {
		var cancel context.CancelFunc
		p := newPair(t, refuses, bare, answerOptional, func(c *calls) {
			c.base = func(base http.RoundTripper) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) {
					resp, err := readReply(base.RoundTrip(r))
					if err != nil {
						return nil, err
					}
					resp.Body = io.NopCloser(bytes.NewReader(resp.body))
					cancel()
					return resp.Response, nil
				})
			}
		})
		ctx, _ := p.start(t)
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		resp, err := p.client.Transport.RoundTrip(newRequest(t, "GET", p.site.URL, nil).WithContext(ctx))
		if r, err := readReply(resp, err); err != nil || r.err != nil || string(r.body) != doc {
			t.Errorf("%v, %v", err, r)
		}
		p.told.next(t)
		p.told.none(t)
	})
	t.Run("the body is gone", func(t *testing.T) {
		p := newPair(t, refuses, bare, answerOptional, func(c *calls) { c.peer.Hashes = false })
		ctx, _ := p.start(t)
		req := newRequest(t, "PUT", p.site.URL, strings.NewReader("sent")).WithContext(ctx)
		req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("the disk broke") }
		if r, err := readReply(p.client.Do(req)); err != nil || r.err != nil || string(r.body) != doc {
			t.Errorf("%v, %v", err, r)
		}
		p.told.next(t)
		p.told.none(t)
	})
}

// TestAgainFails: what the second dispatch fails with is the error of the call.
func TestAgainFails(t *testing.T) {
	doc := refusal("replayed", 0)
	broken := errors.New("the network broke")
	var sends int
	p := newPair(t, with("Content-Type", "application/problem+json", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, doc) //nolint:errcheck // the client looks
	}), bare, answerOptional, func(c *calls) {
		c.base = func(base http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if sends++; sends == 2 {
					return nil, broken
				}
				return base.RoundTrip(r)
			})
		}
	})
	ctx, task := p.start(t)
	if r, err := p.call(ctx, t, "GET", "/", nil); !errors.Is(err, broken) {
		t.Errorf("call = %v, %v; want %v", r, err, broken)
	}
	p.told.next(t)
	onlyPred(t, end(ctx, t, task), p.told.next(t).Claims().TaskID, "the second dispatch")

	// Where no dispatch can be issued there is no second call.
	sends = 2
	p.told.next(t)
	ctx, task = p.start(t)
	var second *closes
	req := newRequest(t, "PUT", p.site.URL, strings.NewReader("sent")).WithContext(ctx)
	gets := 0
	req.GetBody = func() (io.ReadCloser, error) {
		if gets++; gets != 2 { // for the hash
			return io.NopCloser(strings.NewReader("sent")), nil
		}
		end(ctx, t, task)
		second = &closes{Reader: strings.NewReader("sent")}
		return second, nil
	}
	if r, err := readReply(p.client.Do(req)); !errors.Is(err, core.ErrTaskFinished) {
		t.Errorf("call = %v, %v; want that the task is finished", r, err)
	}
	if second == nil || second.n == 0 {
		t.Error("the body of the second call was not closed")
	}
}
