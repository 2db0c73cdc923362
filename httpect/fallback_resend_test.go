// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/httpect"
)

// TestFallbackGzip: what is compressed stays so in the part, and is hashed as it is.
func TestFallbackGzip(t *testing.T) {
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	io.WriteString(zw, "the body") //nolint:errcheck // in memory
	zw.Close()
	protos(t, func(t *testing.T, proto string) {
		p := foldingPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header["Content-Encoding"]; !cmp.Equal(got, []string{"gzip"}) {
				t.Errorf("Content-Encoding = %q", got)
			}
			zr, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Errorf("NewReader: %v", err)
				return
			}
			if got, err := io.ReadAll(zr); string(got) != "the body" || err != nil {
				t.Errorf("ReadAll = %q, %v", got, err)
			}
			w.WriteHeader(http.StatusNoContent)
		}), over(proto))
		ctx, _ := p.start(t)
		req := padded(t, "POST", p.site.URL, bytes.NewReader(packed.Bytes()), noRoom).WithContext(ctx)
		req.Header.Set("Content-Encoding", "gzip")
		r, err := readReply(p.client.Do(req))
		if err != nil || r.StatusCode != 204 {
			t.Fatalf("Do = %v, %v", r, err)
		}
		if a, ok := httpect.AnswerOf(r.Response); !ok || a.Heads()[0].Claims().InpHash != hashOf(packed.Bytes()) {
			t.Errorf("AnswerOf = %v, %v; want the hash of what is compressed", a, ok)
		}
	})
}

// TestFallbackCallTrailer: what the caller sets while the body is sent still comes, after
// the form's own end.
func TestFallbackCallTrailer(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		p := foldingPair(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if got, err := look(r); err != nil || got.Body != "the body" || r.Trailer.Get("X-Sum") != "1" || len(got.Ours) > 0 {
				t.Errorf("the handler sees %v, %v, trailer %v", got, err, r.Trailer)
			}
		}), over(proto))
		ctx, _ := p.start(t)
		req := padded(t, "POST", p.site.URL, nil, noRoom).WithContext(ctx)
		req.Trailer = http.Header{"X-Sum": nil}
		req.ContentLength = -1
		req.Body = io.NopCloser(io.MultiReader(strings.NewReader("the body"), readerFunc(func([]byte) (int, error) {
			req.Trailer.Set("X-Sum", "1")
			return 0, io.EOF
		})))
		if r, err := readReply(p.client.Do(req)); err != nil || r.err != nil || r.StatusCode != 200 {
			t.Fatalf("Do = %v, %v", r, err)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestFallbackSentAgain: net/http can send the message once more, from its beginning.
func TestFallbackSentAgain(t *testing.T) {
	for name, body := range map[string]io.Reader{"with a body": strings.NewReader("the body"), "without": nil} {
		t.Run(name, func(t *testing.T) {
			p := foldingPair(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if _, err := look(r); err != nil {
					t.Errorf("the handler's body: %v", err)
				}
			}), func(c *calls) { c.base = func(rt http.RoundTripper) http.RoundTripper { return rewinding{rt, t} } })
			ctx, _ := p.start(t)
			r, err := readReply(p.client.Do(padded(t, "POST", p.site.URL, body, noRoom).WithContext(ctx)))
			if err != nil || r.err != nil || r.StatusCode != 200 {
				t.Fatalf("Do = %v, %v", r, err)
			}
		})
	}
	// The real one: a connection that was used before ends in place of a response.
	requests := 0
	p := foldingPair(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if got, err := look(r); err != nil || got.Body != "the body" {
			t.Errorf("the handler sees %v, %v", got, err)
		}
	}), func(c *calls) {
		c.server = []func(*httptest.Server){func(s *httptest.Server) {
			h := s.Config.Handler
			s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if requests++; requests != 2 {
					h.ServeHTTP(w, r)
					return
				}
				io.Copy(io.Discard, r.Body) //nolint:errcheck // it is lost
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Errorf("Hijack: %v", err)
					return
				}
				conn.Close()
			})
		}}
	})
	ctx, _ := p.start(t)
	for range 2 {
		req := padded(t, "POST", p.site.URL, strings.NewReader("the body"), noRoom+40).WithContext(ctx)
		req.Header.Set("Idempotency-Key", "x")
		if r, err := readReply(p.client.Do(req)); err != nil || r.err != nil || r.StatusCode != 200 {
			t.Fatalf("Do = %v, %v", r, err)
		}
	}
	if requests != 3 {
		t.Errorf("%d requests came, want the second twice", requests)
	}
	// A body that cannot be had again is an error of having it again.
	broken := errors.New("the disk broke")
	p = foldingPair(t, untouched(t), func(c *calls) {
		c.base = func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				_, err := r.GetBody()
				return nil, err
			})
		}
	}, func(c *calls) { c.peer.Hashes = false })
	ctx, _ = p.start(t)
	req := padded(t, "POST", p.site.URL, strings.NewReader("the body"), noRoom).WithContext(ctx)
	req.GetBody = func() (io.ReadCloser, error) { return nil, broken }
	if _, err := readReply(p.client.Do(req)); !errors.Is(err, broken) {
		t.Errorf("Do = %v, want %v", err, broken)
	}
}

// TestFallbackDispatchedAgain: what was refused as replayed goes out anew, in a form of its
// own.
func TestFallbackDispatchedAgain(t *testing.T) {
	var boundaries []string
	handled := 0
	p := foldingPair(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		handled++
		if got, err := look(r); err != nil || got.Body != "the body" {
			t.Errorf("the handler sees %v, %v", got, err)
		}
	}), func(c *calls) {
		c.base = func(base http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				boundaries = append(boundaries, r.Header.Get("Content-Type"))
				if len(boundaries) > 1 {
					return base.RoundTrip(r)
				}
				// Sent twice, as if the first response had been lost.
				again := r.Clone(r.Context())
				lost, err := readReply(base.RoundTrip(r))
				if err != nil || lost.StatusCode != 200 {
					t.Errorf("RoundTrip = %v, %v", lost, err)
				}
				if again.Body, err = r.GetBody(); err != nil {
					return nil, err
				}
				return base.RoundTrip(again)
			})
		}
	})
	ctx, _ := p.start(t)
	req := padded(t, "PUT", p.site.URL, strings.NewReader("the body"), noRoom).WithContext(ctx)
	if r, err := readReply(p.client.Do(req)); err != nil || r.err != nil || r.StatusCode != 200 {
		t.Fatalf("Do = %v, %v", r, err)
	}
	if handled != 2 || len(boundaries) != 2 || boundaries[0] == boundaries[1] {
		t.Errorf("the handler was called %d times, by %q", handled, boundaries)
	}
}

// rewinding sends a request as net/http does where a connection breaks after a part of
// the body has gone.
type rewinding struct {
	http.RoundTripper
	t testing.TB
}

func (w rewinding) RoundTrip(r *http.Request) (*http.Response, error) {
	first, err := io.ReadAll(r.Body)
	if err != nil || int64(len(first)) != r.ContentLength {
		w.t.Errorf("the body has %d bytes, %v; ContentLength = %d", len(first), err, r.ContentLength)
	}
	r.Body.Close()
	again := *r
	if again.Body, err = r.GetBody(); err != nil {
		return nil, err
	}
	second, err := io.ReadAll(again.Body)
	if err != nil || !bytes.Equal(first, second) {
		w.t.Errorf("the second body differs: %v", err)
	}
	if again.Body, err = r.GetBody(); err != nil {
		return nil, err
	}
	return w.RoundTripper.RoundTrip(&again)
}

// TestFallbackCallExpect: with 100-continue the form waits as a body does.
func TestFallbackCallExpect(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		body := bytes.Repeat([]byte("x"), 1<<20)
		p := foldingPair(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if got, err := look(r); err != nil || got.Body != string(body) || got.Expected != "" {
				t.Errorf("the handler sees %d bytes, %v, Expect %q", len(got.Body), err, got.Expected)
			}
		}), over(proto))
		ctx, _ := p.start(t)
		req := padded(t, "POST", p.site.URL, bytes.NewReader(body), noRoom+40).WithContext(ctx)
		req.Header.Set("Expect", "100-continue")
		if r, err := readReply(p.client.Do(req)); err != nil || r.err != nil || r.StatusCode != 200 {
			t.Fatalf("Do = %v, %v", r, err)
		}
	})
}

// TestFallbackLost: a body whose source fails is never whole at the peer.
func TestFallbackLost(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		running := make(chan struct{})
		over1 := make(chan error, 1)
		p := foldingPair(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(running)
			_, err := io.ReadAll(r.Body)
			over1 <- err
		}), over(proto))
		ctx, _ := p.start(t)
		broken := errors.New("the disk broke")
		body := io.MultiReader(bytes.NewReader(make([]byte, 10_000)), failing{running, broken})
		if _, err := readReply(p.client.Do(padded(t, "POST", p.site.URL, body, noRoom).WithContext(ctx))); !errors.Is(err, broken) {
			t.Errorf("Do = %v, want %v", err, broken)
		}
		if err := wait(t, over1, "the handler"); err == nil {
			t.Error("a body that was cut off seems whole")
		}
		if c := p.seen.next(t).Claims(); c.InpHash.Present {
			t.Errorf("inp_hash = %v", c.InpHash)
		}
	})
}
