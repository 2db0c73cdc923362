// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// attempts is how often the library tries at most.
const attempts = 4

// retrying is a client of the library's own making over our transport.
func (w *world) retrying(t *testing.T, dial func(context.Context, string, string) (net.Conn, error)) *retryablehttp.Client {
	t.Helper()
	base := &http.Transport{DialContext: dial}
	t.Cleanup(base.CloseIdleConnections)
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: must(httpect.NewTransport(w.caller, base))(t)}
	c.RetryMax = attempts - 1
	c.Backoff = func(time.Duration, time.Duration, int, *http.Response) time.Duration { return 0 }
	c.Logger = nil
	return c
}

// sent is what a call sends.
const sent = "order 7"

// call makes a call in a task of its own, and returns the response and what reading it
// gave.
func (w *world) call(t *testing.T, c *retryablehttp.Client, method string, edits ...func(*retryablehttp.Request)) (resp *http.Response, body []byte, bad, err error) {
	t.Helper()
	ctx, task, err := w.caller.StartTask(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, method, w.url, []byte(sent))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		e(req)
	}
	if resp, err = c.Do(req); err == nil {
		body, bad = io.ReadAll(resp.Body)
		bad = errors.Join(bad, resp.Body.Close())
	}
	if _, err := task.Finish(ctx, core.Completion{}); err != nil {
		t.Fatal(err)
	}
	return resp, body, bad, err
}

func hashText(b string) string {
	s := sha256.Sum256([]byte(b))
	return base64.RawURLEncoding.EncodeToString(s[:])
}

// TestBadAnswerIsNotRepeated: what is wrong with an answer is no reason to call again.
func TestBadAnswerIsNotRepeated(t *testing.T) {
	for _, c := range []struct {
		name string
		// craft makes the answer to a dispatch, "" for none.
		craft func(t *testing.T, w *world, dispatch string) string
		code  core.Code
	}{
		{"bad signature", func(t *testing.T, w *world, dispatch string) string {
			t.Helper()
			tok := w.to.Token(w.from.Identity).After(t, true, dispatch)
			tok.Key = ecttest.NewKey(t, core.ES256)
			return tok.Sign(t)
		}, core.CodeSignature},
		{"another issuer", func(t *testing.T, w *world, dispatch string) string {
			t.Helper()
			return w.domain.Agent(t, "other").Token(w.from.Identity).After(t, true, dispatch).Sign(t)
		}, core.CodeAnswer},
		{"another body", func(t *testing.T, w *world, dispatch string) string {
			t.Helper()
			return w.to.Token(w.from.Identity).After(t, true, dispatch).With("out_hash", hashText("other")).Sign(t)
		}, core.CodeBody},
		{"another request", func(t *testing.T, w *world, dispatch string) string {
			t.Helper()
			return w.to.Token(w.from.Identity).After(t, true, dispatch).With("inp_hash", hashText("other")).Sign(t)
		}, core.CodeBody},
		{"malformed", func(*testing.T, *world, string) string { return "a.b.c" }, core.CodeMalformed},
		{"missing", func(*testing.T, *world, string) string { return "" }, core.CodeAnswer},
	} {
		for _, trailer := range []bool{false, true} {
			for _, method := range []string{"POST", "PUT", "GET"} {
				t.Run(fmt.Sprintf("%s, trailer %v, %s", c.name, trailer, method), func(t *testing.T) {
					var w *world
					w = newWorld(t, kind{bare: true}, func(rw http.ResponseWriter, r *http.Request) {
						io.Copy(io.Discard, r.Body) //nolint:errcheck // the answer counts
						answer := c.craft(t, w, r.Header.Get(httpect.FieldName))
						if trailer {
							rw.Header().Set("Trailer", httpect.FieldName)
						} else if answer != "" {
							rw.Header().Set(httpect.FieldName, answer)
						}
						io.WriteString(rw, "done") //nolint:errcheck // the client looks
						if trailer {
							http.NewResponseController(rw).Flush()
							if answer != "" {
								rw.Header().Set(httpect.FieldName, answer)
							}
						}
					})
					want := c.code
					if c.name == "missing" && trailer {
						want = core.CodeAltered // it was announced
					}
					resp, _, bad, err := w.call(t, w.retrying(t, nil), method)
					if err != nil || resp.StatusCode != 200 {
						t.Fatalf("Do = %v, %v; the call happened", resp, err)
					}
					if core.CodeOf(bad) != want {
						t.Errorf("reading = %v, want code %v", bad, want)
					}
					if n := w.ran.Load(); n != 1 {
						t.Errorf("the handler ran %d times", n)
					}
					w.dispatched(t, 1)
				})
			}
		}
	}
}

// accepts fails unless a call ended well at its last attempt.
func (w *world) accepts(t *testing.T, resp *http.Response, body []byte, bad, err error, tries int) {
	t.Helper()
	if err != nil || bad != nil || resp.StatusCode != 200 || string(body) != sent {
		t.Fatalf("Do = %v, %v, %v, body %q", resp, err, bad, body)
	}
	if n := w.ran.Load(); n != 1 {
		t.Errorf("the handler ran %d times", n)
	}
	all := w.unanswered(t, tries)
	answer, ok := httpect.AnswerOf(resp)
	if !ok {
		t.Fatal("AnswerOf: none")
	}
	if p := answer.Heads()[0].Claims().Pred; len(p) != 1 || p[0] != all[tries-1].TaskID {
		t.Errorf("the answer comes after %v, want the last attempt", p)
	}
}

func echo(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) } //nolint:errcheck // the client looks

// knowing are ways for a peer to accept an attempt that comes after one which it never
// saw.
var knowing = map[string]kind{"context": {context: 1}, "allow partial": {missing: core.AllowPartial}}

// TestDialFails: what was never sent is sent again, each time with a token of its own.
func TestDialFails(t *testing.T) {
	for name, k := range knowing {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, k, echo)
			var dials atomic.Int32
			c := w.retrying(t, func(ctx context.Context, network, addr string) (net.Conn, error) {
				if dials.Add(1) < 3 {
					addr = "127.0.0.1:1" // nobody listens there
				}
				return (&net.Dialer{}).DialContext(ctx, network, addr)
			})
			resp, body, bad, err := w.call(t, c, "POST")
			w.accepts(t, resp, body, bad, err, 3)
		})
	}
}

// TestUnavailable: what was refused before the handler ran is sent again, and accepted.
func TestUnavailable(t *testing.T) {
	for name, k := range knowing {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, k, echo)
			w.keysDown.Store(2)
			resp, body, bad, err := w.call(t, w.retrying(t, nil), "POST")
			w.accepts(t, resp, body, bad, err, 3)
		})
	}
}

// TestUnknownAttempt: a peer that rejects missing predecessors, and gets no context,
// refuses an attempt that comes after one which it never saw.
func TestUnknownAttempt(t *testing.T) {
	w := newWorld(t, kind{}, echo)
	w.keysDown.Store(1)
	resp, body, _, err := w.call(t, w.retrying(t, nil), "POST")
	if err != nil || resp.StatusCode != http.StatusForbidden || !bytes.Contains(body, []byte(`"code":"rejected"`)) {
		t.Errorf("Do = %v, %v, body %q", resp, err, body)
	}
	if n := w.ran.Load(); n != 0 {
		t.Errorf("the handler ran %d times", n)
	}
	w.unanswered(t, 2)
}

// TestReplayed: a refusal is no reason for the library to call again, and none for the
// transport where the method is not idempotent.
func TestReplayed(t *testing.T) {
	w := newWorld(t, kind{bare: true}, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/problem+json")
		rw.WriteHeader(http.StatusForbidden)
		io.WriteString(rw, `{"code":"replayed"}`) //nolint:errcheck // the client looks
	})
	for method, calls := range map[string]int32{"POST": 1, "PATCH": 1, "PUT": 2} {
		w.ran.Store(0)
		resp, body, bad, err := w.call(t, w.retrying(t, nil), method, func(r *retryablehttp.Request) { r.Header.Set("Idempotency-Key", "7") })
		if err != nil || resp.StatusCode != http.StatusForbidden || string(body) != `{"code":"replayed"}` || core.CodeOf(bad) != core.CodeAnswer {
			t.Errorf("%s: Do = %v, %v, %v, body %q", method, resp, err, bad, body)
		}
		if n := w.ran.Load(); n != calls {
			t.Errorf("%s: %d calls came, want %d", method, n, calls)
		}
	}
}

// cautious is a policy under which the library repeats only what no handler has seen:
// what was refused as unavailable, and connections that were never made.
func cautious(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		op, ok := errors.AsType[*net.OpError](err)
		return ok && op.Op == "dial", nil
	}
	return resp.StatusCode == http.StatusServiceUnavailable, nil
}

// TestRepeatedWork writes down what the library's own policy repeats although the handler
// ran. Each attempt is a call of its own, so the peer has no reason to refuse it.
func TestRepeatedWork(t *testing.T) {
	for _, c := range []struct {
		name string
		kind kind
		run  func(t *testing.T, w *world, rw http.ResponseWriter, r *http.Request)
		// read lets the library read the response.
		read bool
	}{
		{"the record could not be made", kind{missing: core.AllowPartial}, func(_ *testing.T, w *world, _ http.ResponseWriter, _ *http.Request) {
			w.signerDown.Store(true)
		}, false},
		{"the handler failed", kind{}, func(_ *testing.T, _ *world, rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusInternalServerError)
		}, false},
		{"the connection broke", kind{}, func(*testing.T, *world, http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}, false},
		{"the library read a bad answer", kind{bare: true}, func(t *testing.T, w *world, rw http.ResponseWriter, r *http.Request) {
			t.Helper()
			tok := w.to.Token(w.from.Identity).After(t, true, r.Header.Get(httpect.FieldName))
			tok.Key = ecttest.NewKey(t, core.ES256)
			rw.Header().Set(httpect.FieldName, tok.Sign(t))
		}, true},
	} {
		for name, policy := range map[string]retryablehttp.CheckRetry{"its own": retryablehttp.DefaultRetryPolicy, "cautious": cautious} {
			t.Run(c.name+", "+name, func(t *testing.T) {
				var w *world
				w = newWorld(t, c.kind, func(rw http.ResponseWriter, r *http.Request) { c.run(t, w, rw, r) })
				client := w.retrying(t, nil)
				client.CheckRetry = policy
				_, _, _, err := w.call(t, client, "POST", func(r *retryablehttp.Request) {
					if c.read {
						r.SetResponseHandler(func(resp *http.Response) error {
							_, err := io.ReadAll(resp.Body)
							if core.CodeOf(err) != core.CodeSignature {
								t.Errorf("reading = %v, want code signature", err)
							}
							return err
						})
					}
				})
				want := attempts
				if name == "cautious" {
					want = 1
				}
				if n := int(w.ran.Load()); n != want {
					t.Errorf("the handler ran %d times, want %d; Do: %v", n, want, err)
				}
				w.dispatched(t, want)
			})
		}
	}
}

// TestCautious: what no handler has seen is repeated under that policy too.
func TestCautious(t *testing.T) {
	w := newWorld(t, kind{context: 1}, echo)
	w.keysDown.Store(1)
	var dials atomic.Int32
	c := w.retrying(t, func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dials.Add(1) == 1 {
			addr = "127.0.0.1:1" // nobody listens there
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	})
	c.CheckRetry = cautious
	resp, body, bad, err := w.call(t, c, "POST")
	w.accepts(t, resp, body, bad, err, 3)
}
