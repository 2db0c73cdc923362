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
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

func requireBody(s *setup) { s.policy.Body = core.BodyRequire }

// TestBodyRequired sends bodies under BodyRequire: what is over the cap never reaches the
// handler, and claims nothing. For what is not the recorded body, or not recorded, see
// TestMessageContents.
func TestBodyRequired(t *testing.T) {
	const limit = 10_000
	body := func(n int) []byte { return bytes.Repeat([]byte("body "), n)[:n] }
	named := func(b []byte) func(*testing.T, *world) string {
		return func(t *testing.T, w *world) string { return w.headOver(t, b) }
	}
	for _, tt := range []struct {
		name string
		head func(*testing.T, *world) string
		body []byte
		want core.Code
	}{
		{"empty", named(nil), nil, 0},
		{"one byte", named(body(1)), body(1), 0},
		{"below the cap", named(body(limit - 1)), body(limit - 1), 0},
		{"at the cap", named(body(limit)), body(limit), 0},
		{"above the cap", named(body(limit + 1)), body(limit + 1), core.CodeBodyTooLarge},
		{"far above the cap", named(body(100 * limit)), body(100 * limit), core.CodeBodyTooLarge},
	} {
		for how, reader := range map[string]func([]byte) io.Reader{"sized": sized, "chunked": chunked} {
			t.Run(tt.name+" "+how, func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					w := newWorld(t, requireBody)
					handled := 0
					s := serve(t, proto, httpect.Middleware(w.service, httpect.WithBodyBuffer(limit))(http.HandlerFunc(
						func(_ http.ResponseWriter, r *http.Request) {
							handled++
							task, _ := core.TaskFromContext(r.Context())
							if st := task.BodyState(); st != core.BodyBound {
								t.Errorf("BodyState = %v when the handler begins, want bound", st)
							}
							if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, tt.body) {
								t.Errorf("ReadAll = %d bytes, %v; want %d", len(got), err, len(tt.body))
							}
						})))
					token := tt.head(t, w)
					r := s.send(t, "POST", "/", reader(tt.body), token)
					if tt.want == 0 {
						if c := w.answer(t, r).Claims(); c.InpHash != hashOf(tt.body) || handled != 1 {
							t.Errorf("inp_hash = %v after %d calls of the handler, want %v", c.InpHash, handled, hashOf(tt.body))
						}
						s.send(t, "POST", "/", reader(tt.body), token).refused(t, core.CodeReplayed)
						return
					}
					r.refused(t, tt.want)
					w.seen.none(t)
					if handled != 0 {
						t.Error("the handler was called")
					}
					if _, err := w.service.Verifier().Verify(t.Context(), core.Presented{
						Values: []string{token}, Content: parse(t, token).ClaimsWithoutVerification().OutHash,
					}); core.CodeOf(err) == core.CodeReplayed {
						t.Error("what was refused is claimed")
					}
				})
			})
		}
	}
}

// TestBodyRequiredIsReadLast: who cannot present a token that is otherwise good makes
// nobody read a body, nor does a body that is declared to be over the cap.
func TestBodyRequiredIsReadLast(t *testing.T) {
	w := newWorld(t, requireBody)
	h := httpect.Middleware(w.service, httpect.WithBodyBuffer(10))(untouched(t))
	body := []byte("eleven byte")
	for name, tt := range map[string]struct {
		token  string
		length int64
		want   int
	}{
		"no token":         {"", -1, 403},
		"a bad signature":  {w.headOver(t, body) + "A", -1, 403},
		"another audience": {w.from.Token("urn:example:other").With("out_hash", hashText(body)).Sign(t), -1, 403},
		"no hash":          {w.head(t), -1, 403},
		"over the cap":     {w.headOver(t, body), 11, 413},
	} {
		t.Run(name, func(t *testing.T) {
			unread := &readCounter{r: bytes.NewReader(body)}
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", unread)
			req.ContentLength = tt.length
			if tt.token != "" {
				req.Header[httpect.FieldName] = []string{tt.token}
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			if rec.Code != tt.want || unread.n != 0 {
				t.Errorf("status = %d after %d bytes of the body, want %d after none", rec.Code, unread.n, tt.want)
			}
		})
	}
}

// readCounter counts what is read.
type readCounter struct {
	r io.Reader
	n int
}

func (c *readCounter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// TestBodyRequiredUnreadable: a body that breaks off, or that something further out
// bounds, is refused before anything is claimed.
func TestBodyRequiredUnreadable(t *testing.T) {
	body := []byte("what was recorded")
	for name, tt := range map[string]struct {
		wrap func(io.ReadCloser) io.ReadCloser
		want core.Code
	}{
		"breaks off": {func(r io.ReadCloser) io.ReadCloser {
			return io.NopCloser(io.MultiReader(io.LimitReader(r, 5), brokenReader{}))
		}, core.CodeUnavailable},
		"bounded further out": {func(r io.ReadCloser) io.ReadCloser { return http.MaxBytesReader(nil, r, 5) }, core.CodeBodyTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, requireBody)
			token := w.headOver(t, body)
			send := func(h http.Handler, wrap func(io.ReadCloser) io.ReadCloser) int {
				req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", chunked(body))
				req.Header[httpect.FieldName] = []string{token}
				req.Body = wrap(req.Body)
				rec := httptest.NewRecorder()
				httpect.Middleware(w.service)(h).ServeHTTP(rec, req)
				return rec.Code
			}
			if got := send(untouched(t), tt.wrap); got != httpect.Status(tt.want) {
				t.Errorf("status = %d, want %d", got, httpect.Status(tt.want))
			}
			if got := w.seen.codes(&w.seen.rejected); len(got) != 1 || got[0] != tt.want {
				t.Errorf("rejected = %v, want %v", got, tt.want)
			}
			if got := send(http.HandlerFunc(empty), func(r io.ReadCloser) io.ReadCloser { return r }); got != http.StatusOK {
				t.Errorf("status = %d of the same token with its body, want 200: nothing was claimed", got)
			}
		})
	}
}

var errBroken = errors.New("the connection broke")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

// TestBodyRequiredObserved: under Observe nothing is held and nothing refused; an inner
// middleware that enforces holds the body then.
func TestBodyRequiredObserved(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for _, same := range []bool{true, false} {
			w := newWorld(t, requireBody)
			body := []byte("what was recorded")
			sent := body
			if !same {
				sent = []byte("what came instead")
			}
			handled := ""
			h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				b, err := io.ReadAll(r.Body)
				handled = fmt.Sprint(string(b), err)
			})
			observe := httpect.Middleware(w.service, httpect.WithMode(httpect.Observe))
			s := serve(t, proto, observe(h))
			if r := s.send(t, "POST", "/", chunked(sent), w.headOver(t, body)); r.StatusCode != 200 || handled != string(sent)+"<nil>" {
				t.Errorf("observed: %v, the handler got %q", r, handled)
			}
			if got := w.seen.codes(&w.seen.differed); (len(got) == 0) != same {
				t.Errorf("observed: told of %v", got)
			}
			handled = ""
			s = serve(t, proto, observe(httpect.Middleware(w.service)(h)))
			r := s.send(t, "POST", "/", chunked(sent), w.headOver(t, body))
			if same && (r.StatusCode != 200 || handled != string(sent)+"<nil>") || !same && handled != "" {
				t.Errorf("enforced further in: %v, the handler got %q", r, handled)
			}
			if !same {
				r.refused(t, core.CodeBody)
			}
		}
	})
}

// TestAnswerBodyRequired holds answers against what was sent and what came, under a
// policy that takes no absence.
func TestAnswerBodyRequired(t *testing.T) {
	for name, tt := range map[string]struct {
		// hashes says whether the peer may tell hashes; read whether it reads the request.
		hashes, read bool
		body         func() io.Reader
		want         core.Code
	}{
		"both hashes":                 {true, true, func() io.Reader { return strings.NewReader("sent") }, 0},
		"both hashes, streamed":       {true, true, func() io.Reader { return chunked([]byte("sent")) }, 0},
		"nothing sent":                {true, true, func() io.Reader { return nil }, 0},
		"no hashes":                   {false, true, func() io.Reader { return strings.NewReader("sent") }, core.CodeBody},
		"the peer did not read it":    {true, false, func() io.Reader { return strings.NewReader(strings.Repeat("sent", 1<<18)) }, core.CodeBody},
		"nor what was streamed to it": {true, false, func() io.Reader { return chunked(bytes.Repeat([]byte("sent"), 1<<18)) }, core.CodeBody},
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if tt.read {
						io.Copy(io.Discard, r.Body) //nolint:errcheck // the record tells
					}
					io.WriteString(w, "answered") //nolint:errcheck // the caller tells
				}), func(c *calls) {
					c.proto, c.policy.Body = proto, core.BodyRequire
					c.world = []func(*setup){ignoreBody, func(s *setup) {
						for n := range s.tells {
							s.tells[n].Hashes = tt.hashes
						}
					}}
				})
				ctx, _, err := p.caller.StartTask(t.Context(), "call")
				if err != nil {
					t.Fatal(err)
				}
				err = call(ctx, p.client, p.site.URL, tt.body())
				if core.CodeOf(err) != tt.want || tt.want == 0 && err != nil {
					t.Errorf("the call = %v, want code %v", err, tt.want)
				}
			})
		})
	}
}

// call posts a body and reads the response to its end.
func call(ctx context.Context, c *http.Client, url string, body io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}
