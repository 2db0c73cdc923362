// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// policies are what may become of altered answers.
var policies = map[string]httpect.AlteredPolicy{"fail": httpect.FailAltered, "report": httpect.ReportAltered}

func withAltered(p httpect.AlteredPolicy) func(*calls) {
	return func(c *calls) { c.options = []httpect.TransportOption{httpect.WithAltered(p)} }
}

// changes are what proxies do to a response.
type changes []func(*http.Response)

func mark(name, value string) func(*http.Response) {
	return func(r *http.Response) { r.Header.Set(name, value) }
}

func swap(r *http.Response) { r.Body = swapped{r.Body, 'a', 'z'} }

// dropAnswer takes the answer away, and what announces it.
func dropAnswer(r *http.Response) {
	r.Header.Del(httpect.FieldName)
	delete(r.Trailer, httpect.FieldName)
	dropTrailer(r)
}

// dropTrailer takes the answer in the trailer away, and leaves what announces it.
func dropTrailer(r *http.Response) {
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(r.Body, atEOF(func() { delete(r.Trailer, httpect.FieldName) })), r.Body}
}

// compress applies a coding, if the client takes it.
func compress(r *http.Response) {
	if !strings.Contains(r.Request.Header.Get("Accept-Encoding"), "gzip") {
		return
	}
	src := r.Body
	pr, pw := io.Pipe()
	go func() {
		zw := gzip.NewWriter(pw)
		_, err := io.Copy(zw, src)
		if bad := zw.Close(); err == nil {
			err = bad
		}
		pw.CloseWithError(err)
	}()
	r.Body = struct {
		io.Reader
		io.Closer
	}{pr, src}
	r.Header.Set("Content-Encoding", "gzip")
	r.Header.Del("Content-Length")
	r.ContentLength = -1
}

// TestAltered: what a proxy changed is told from what somebody forged, as far as that
// can be.
func TestAltered(t *testing.T) {
	small := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("a", 9000)) } //nolint:errcheck // the client looks
	for _, c := range []struct {
		name    string
		changes changes
		// code is what a client that fails sees over a small body and over a stream.
		small, stream core.Code
	}{
		{"nothing", nil, 0, 0},
		{"a mark alone", changes{mark("Via", "1.1 p")}, 0, 0},
		{"another body", changes{swap}, core.CodeBody, core.CodeBody},
		{"another body, Via", changes{swap, mark("Via", "1.1 p")}, core.CodeAltered, core.CodeAltered},
		{"another body, Age", changes{swap, mark("Age", "7")}, core.CodeAltered, core.CodeAltered},
		{"another body, Cache-Status", changes{swap, mark("Cache-Status", "c; hit")}, core.CodeAltered, core.CodeAltered},
		{"another body, Proxy-Status", changes{swap, mark("Proxy-Status", "p")}, core.CodeAltered, core.CodeAltered},
		{"another body, a mark of nobody's", changes{swap, mark("Warning", `214 p "changed"`)}, core.CodeBody, core.CodeBody},
		{"no answer", changes{dropAnswer}, core.CodeAnswer, core.CodeAnswer},
		{"no answer, Via", changes{dropAnswer, mark("Via", "1.1 p")}, core.CodeAltered, core.CodeAltered},
		{"no trailer", changes{dropTrailer}, 0, core.CodeAltered},
		{"no trailer, Via", changes{dropTrailer, mark("Via", "1.1 p")}, 0, core.CodeAltered},
		{"compressed", changes{compress}, core.CodeAltered, core.CodeAltered},
		{"compressed, Via", changes{compress, mark("Via", "1.1 p")}, core.CodeAltered, core.CodeAltered},
		{"compressed another body", changes{swap, compress}, core.CodeBody, core.CodeBody},
		{"no answer, compressed", changes{dropAnswer, compress}, core.CodeAnswer, core.CodeAnswer},
		{"no trailer, compressed", changes{dropTrailer, compress}, core.CodeAltered, core.CodeAltered},
	} {
		for how, handler := range map[string]http.HandlerFunc{"small": small, "stream": flushes(small)} {
			want := c.small
			if how == "stream" {
				want = c.stream
			}
			for name, policy := range policies {
				t.Run(fmt.Sprint(c.name, ", ", how, ", ", name), func(t *testing.T) {
					protos(t, func(t *testing.T, proto string) {
						var s *site
						edit := tampering(t, &s, proto, func(rp *httputil.ReverseProxy) {
							rp.ModifyResponse = func(r *http.Response) error {
								for _, change := range c.changes {
									change(r)
								}
								return nil
							}
						})
						p := newPair(t, handler, edit, withAltered(policy))
						s = p.site
						alteredAs(t, p, want, policy)
					})
				})
			}
		}
	}
}

// alteredAs makes a call of a pair through its proxy and holds what came of it against
// the code that a client sees which fails.
func alteredAs(t *testing.T, p *pair, code core.Code, policy httpect.AlteredPolicy) {
	t.Helper()
	ctx, task := p.start(t)
	r, err := readReply(p.client.Do(newRequest(t, "GET", p.peer.Endpoints[0], nil).WithContext(ctx)))
	if err != nil {
		t.Fatalf("Do: %v; the call happened", err)
	}
	want := code
	if code == core.CodeAltered && policy == httpect.ReportAltered {
		want = 0
		if len(r.body) < 9000 {
			t.Errorf("%d bytes came", len(r.body))
		}
	}
	if core.CodeOf(r.err) != want || want == 0 && r.err != nil {
		t.Errorf("reading = %v, want code %v", r.err, want)
	}
	told := func(list *[]core.Code, what string, want bool) {
		t.Helper()
		if n := len(p.told.codes(list)); n > 1 || (n == 1) != want {
			t.Errorf("observers were told %d times that the response %s", n, what)
		}
	}
	told(&p.told.altered, "was altered", code == core.CodeAltered)
	told(&p.told.differed, "differs", code == core.CodeBody)
	if why, ok := httpect.AlteredOf(r.Response); ok != (code == core.CodeAltered) || ok && why.Code != core.CodeAltered {
		t.Errorf("AlteredOf = %v, %v", why, ok)
	}
	before, what := p.told.next(t).Claims().TaskID, "the dispatch"
	if answer, ok := httpect.AnswerOf(r.Response); ok {
		before, what = answer.Heads()[0].Claims().TaskID, "the answer"
	}
	onlyPred(t, end(ctx, t, task), before, what)
}

// TestAlteredClose: what closes early learns of it as far as it came.
func TestAlteredClose(t *testing.T) {
	for name, policy := range policies {
		protos(t, func(t *testing.T, proto string) {
			var s *site
			edit := tampering(t, &s, proto, func(rp *httputil.ReverseProxy) {
				rp.ModifyResponse = func(r *http.Response) error {
					dropAnswer(r)
					mark("Via", "1.1 p")(r)
					return nil
				}
			})
			p := newPair(t, writes(1<<20), edit, withAltered(policy))
			s = p.site
			ctx, _ := p.start(t)
			resp, err := p.client.Do(newRequest(t, "GET", p.peer.Endpoints[0], nil).WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			want := core.CodeAltered
			if policy == httpect.ReportAltered {
				want = 0
			}
			if err := resp.Body.Close(); core.CodeOf(err) != want || want == 0 && err != nil {
				t.Errorf("%s: Close = %v, want code %v", name, err, want)
			}
			if n := len(p.told.codes(&p.told.altered)); n != 1 {
				t.Errorf("%s: observers were told %d times", name, n)
			}
		})
	}
}

// TestAlteredRefusal: what a proxy says on its own is read; whether an error follows is
// for the policy to say.
func TestAlteredRefusal(t *testing.T) {
	for name, policy := range policies {
		protos(t, func(t *testing.T, proto string) {
			const why = "no upstream"
			p := newPair(t, with("Via", "1.1 p", func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusBadGateway)
				io.WriteString(w, why) //nolint:errcheck // the client looks
			}), bare, over(proto), withAltered(policy))
			ctx, _ := p.start(t)
			r, err := p.call(ctx, t, "GET", "/", nil)
			want := core.CodeAltered
			if policy == httpect.ReportAltered {
				want = 0
			}
			if err != nil || string(r.body) != why || core.CodeOf(r.err) != want || want == 0 && r.err != nil {
				t.Errorf("%s: %v, %v, body %q", name, err, r, r.body)
			}
		})
	}
}

// TestAnnouncedWithoutRoom: what announces a trailer where there is no place for one
// counts as well, since a proxy may have taken the place away.
func TestAnnouncedWithoutRoom(t *testing.T) {
	for name, policy := range policies {
		p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTrailer: X-Sum, execution-context\r\nContent-Length: 4\r\n\r\nbody") //nolint:errcheck // the client looks
		}), bare, withAltered(policy))
		ctx, _ := p.start(t)
		r, err := p.call(ctx, t, "GET", "/", nil)
		want := core.CodeAltered
		if policy == httpect.ReportAltered {
			want = 0
		}
		if err != nil || string(r.body) != "body" || core.CodeOf(r.err) != want || want == 0 && r.err != nil {
			t.Errorf("%s: %v, %v, body %q", name, err, r, r.body)
		}
		if got := r.Header.Values("Trailer"); len(got) != 1 || got[0] != "X-Sum" {
			t.Errorf("%s: Trailer = %q, want what is not ours", name, got)
		}
	}
}

// TestAlteredSent: the peer got something else than was sent, by way of a proxy that says
// so.
func TestAlteredSent(t *testing.T) {
	for name, policy := range policies {
		for place, put := range places {
			t.Run(name+", "+place, func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					var p *pair
					inner := impostor(t, []byte("body"), func(dispatch string) (header, trailer []string) {
						return put(p.to.Token(p.from.Identity).After(t, true, dispatch).With("inp_hash", hashText([]byte("other"))).Sign(t))
					})
					p = newPair(t, with("Via", "1.1 p", inner.ServeHTTP), bare, over(proto), withAltered(policy))
					ctx, _ := p.start(t)
					r, err := p.call(ctx, t, "POST", "/", chunked([]byte("sent")))
					want := core.CodeAltered
					if policy == httpect.ReportAltered {
						want = 0
					}
					if err != nil || core.CodeOf(r.err) != want || want == 0 && (r.err != nil || string(r.body) != "body") {
						t.Errorf("%v, %v, body %q", err, r, r.body)
					}
					if n := len(p.told.codes(&p.told.altered)); n != 1 {
						t.Errorf("observers were told %d times", n)
					}
				})
			})
		}
	}
}

// TestForgedIsNotAltered: an answer that does not verify fails under either policy,
// whatever marks it comes with.
func TestForgedIsNotAltered(t *testing.T) {
	marked := func(next http.Handler) http.Handler { return with("Via", "1.1 p", with("Age", "1", next.ServeHTTP)) }
	body := bytes.Repeat([]byte("x"), 100)
	for place, put := range places {
		for who, optional := range answerPolicies {
			edit := func(c *calls) { c.peer.Answer = optional }
			// forged looks at the answer to the last call of a task.
			forged := func(name string, p *pair, r *reply, last core.Claims, dispatch core.UUID) {
				if r.err == nil || core.CodeOf(r.err) == core.CodeAltered {
					t.Errorf("%s in the %s, %s: reading = %v, want what is wrong with it", name, place, who, r.err)
				}
				if n := len(p.told.codes(&p.told.altered)); n != 0 {
					t.Errorf("%s in the %s, %s: counted as altered", name, place, who)
				}
				if _, ok := httpect.AnswerOf(r.Response); ok {
					t.Errorf("%s in the %s, %s: AnswerOf gives it", name, place, who)
				}
				onlyPred(t, last, dispatch, "the dispatch")
			}
			for _, a := range ecttest.BadAnswers() {
				if a.Code == core.CodeBody {
					continue // the answer itself is good
				}
				p := newAnswering(t, a, place, body, marked, withAltered(httpect.ReportAltered), edit)
				ctx, task := p.start(t)
				r, dispatch := p.callTwice(ctx, t)
				forged(a.Name, p, r, end(ctx, t, task), dispatch)
			}
			for _, b := range ecttest.BadTokens() {
				if strings.Contains(b.Name, "newline") {
					continue // HTTP has no room for it
				}
				var p *pair
				h := impostor(t, body, func(string) (header, trailer []string) {
					return put(b.Mint(t, p.domain, p.to, p.from.Identity))
				})
				p = newPair(t, marked(h), bare, withAltered(httpect.ReportAltered), edit)
				ctx, task := p.start(t)
				r, err := p.call(ctx, t, "GET", "/", nil)
				if err != nil {
					t.Fatalf("%s: %v", b.Name, err)
				}
				forged(b.Name, p, r, end(ctx, t, task), p.told.next(t).Claims().TaskID)
			}
		}
	}
}
