// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// tampering returns a proxy to a site, and lets the pair call it in the site's place.
func tampering(t *testing.T, s **site, proto string, change func(*httputil.ReverseProxy)) func(*calls) {
	t.Helper()
	proxy := serve(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, err := url.Parse((*s).URL)
		if err != nil {
			t.Error(err)
		}
		rp := httputil.NewSingleHostReverseProxy(target)
		rp.Transport = (*s).client.Transport
		rp.FlushInterval = -1
		change(rp)
		rp.ServeHTTP(w, r)
	}))
	return func(c *calls) {
		c.proto = proto
		c.peer.Endpoints = []string{proxy.URL}
		c.base = func(http.RoundTripper) http.RoundTripper {
			tr := proxy.transport(t)
			tr.DisableCompression = false
			return tr
		}
	}
}

// swapped is a body of the same length with a byte changed.
type swapped struct {
	io.ReadCloser
	from, to byte
}

func (s swapped) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	copy(p, bytes.ReplaceAll(p[:n], []byte{s.from}, []byte{s.to}))
	return n, err
}

// TestTamperedResponse: what a proxy changed is not taken for the peer's.
func TestTamperedResponse(t *testing.T) {
	value := []byte(`{"amount":1}`)
	for _, size := range []int{len(value), httpect.HoldBack, 20_000, 50_000} {
		protos(t, func(t *testing.T, proto string) {
			t.Run(strconv.Itoa(size), func(t *testing.T) {
				full := append(slices.Clone(value), bytes.Repeat([]byte(" "), size-len(value))...)
				var s *site
				edit := tampering(t, &s, proto, func(rp *httputil.ReverseProxy) {
					rp.ModifyResponse = func(r *http.Response) error {
						r.Body = swapped{r.Body, '1', '9'}
						return nil
					}
				})
				p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(full) }), edit) //nolint:errcheck // the client looks
				s = p.site
				p.site = &site{Server: nil, proto: proto, client: p.client}
				ctx, task := p.start(t)
				get := func() *http.Response {
					resp, err := p.client.Do(newRequest(t, "GET", p.peer.Endpoints[0], nil).WithContext(ctx))
					if err != nil {
						t.Fatalf("Do: %v; the call happened", err)
					}
					return resp
				}
				resp := get()
				b := make([]byte, 1000)
				total := 0
				for {
					n, err := resp.Body.Read(b)
					total += n
					if err != nil {
						if n != 0 || core.CodeOf(err) != core.CodeBody {
							t.Errorf("Read = %d, %v; want no byte beside the error", n, err)
						}
						break
					}
				}
				if size <= httpect.DefaultResponseBuffer && total > max(0, size-httpect.HoldBack) {
					t.Errorf("%d of %d bytes were given out", total, size)
				}
				if err := resp.Body.Close(); core.CodeOf(err) != core.CodeBody {
					t.Errorf("Close = %v", err)
				}
				if _, ok := httpect.AnswerOf(resp); !ok {
					t.Error("AnswerOf: the token itself is good")
				}

				resp = get()
				var v struct{ Amount int }
				err := json.NewDecoder(resp.Body).Decode(&v)
				if size <= httpect.HoldBack && core.CodeOf(err) != core.CodeBody {
					t.Errorf("Decode = %v, %v; want that the body differs", v, err)
				}
				if err := resp.Body.Close(); core.CodeOf(err) != core.CodeBody {
					t.Errorf("Close after a decoder that may have stopped = %v", err)
				}
				if n := len(p.told.codes(&p.told.differed)); n != 2 {
					t.Errorf("%d bodies were reported as differing, want 2", n)
				}
				end(ctx, t, task)
			})
		})
	}
}

// TestTamperedRequest: the peer says that it got something else.
func TestTamperedRequest(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, body := range map[string]func() io.Reader{
			"read twice": func() io.Reader { return strings.NewReader("amount=1") },
			"read once":  func() io.Reader { return chunked([]byte("amount=1")) },
		} {
			for how, h := range map[string]http.HandlerFunc{
				"header":  func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) },                       //nolint:errcheck // the answer counts
				"trailer": func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); flushes(empty)(w, r) }, //nolint:errcheck // the answer counts
			} {
				t.Run(name+", "+how, func(t *testing.T) {
					var s *site
					edit := tampering(t, &s, proto, func(rp *httputil.ReverseProxy) {
						direct := rp.Director //nolint:staticcheck // simpler here than Rewrite
						rp.Director = func(r *http.Request) {
							direct(r)
							r.Body = swapped{r.Body, '1', '9'}
						}
					})
					p := newPair(t, h, edit, inWorld(ignoreBody))
					s = p.site
					ctx, _ := p.start(t)
					r, err := readReply(p.client.Do(newRequest(t, "POST", p.peer.Endpoints[0], body()).WithContext(ctx)))
					if err != nil || core.CodeOf(r.err) != core.CodeBody {
						t.Errorf("%v, %v; want that the body differs", r, err)
					}
					if n := len(p.told.codes(&p.told.differed)); n != 1 {
						t.Errorf("%d bodies were reported as differing, want 1", n)
					}
				})
			}
		}
	})
}

// TestGzip: hashes are of the bytes on the wire, and the caller sees the decoded body.
func TestGzip(t *testing.T) {
	plain := bytes.Repeat([]byte("compressible "), 10_000)
	zip := func(next http.Handler) http.Handler { return middleware.Compress(5, "text/plain")(next) }
	var asked string
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Accept-Encoding")
		w.Header().Set("Content-Type", "text/plain")
		if n := r.URL.Query().Get("n"); n != "" {
			k, err := strconv.Atoi(n)
			if err != nil {
				t.Error(err)
			}
			w.Write(plain[:k]) //nolint:errcheck // the client looks
			return
		}
		w.Write(plain) //nolint:errcheck // the client looks
	})
	protos(t, func(t *testing.T, proto string) {
		p := newPair(t, zip(h), over(proto))
		ctx, _ := p.start(t)
		for _, n := range []int{1, 100, 5000, len(plain)} {
			r, err := p.call(ctx, t, "GET", "/?n="+strconv.Itoa(n), nil)
			if err != nil || r.err != nil || !bytes.Equal(r.body, plain[:n]) {
				t.Fatalf("%v, %v", r, err)
			}
			if asked != "gzip" || !r.Uncompressed || r.ContentLength != -1 || r.Header.Get("Content-Encoding") != "" || r.Header.Get("Content-Length") != "" {
				t.Errorf("asked for %q; Uncompressed = %v, ContentLength = %d, header = %v", asked, r.Uncompressed, r.ContentLength, r.Header)
			}
			answer, ok := httpect.AnswerOf(r.Response)
			if !ok {
				t.Fatal("AnswerOf: none")
			}
			if c := answer.Heads()[0].Claims(); !c.OutHash.Present || c.OutHash == hashOf(plain[:n]) {
				t.Errorf("out_hash = %v, want that of the encoded bytes", c.OutHash)
			}
		}
		// The caller's own choice is left alone.
		req := newRequest(t, "GET", p.site.URL, nil).WithContext(ctx)
		req.Header.Set("Accept-Encoding", "gzip")
		r, err := readReply(p.client.Do(req))
		if err != nil || r.err != nil || r.Header.Get("Content-Encoding") != "gzip" || r.Uncompressed {
			t.Fatalf("%v, %v, header %v", r, err, r.Header)
		}
		answer, _ := httpect.AnswerOf(r.Response)
		if got := answer.Heads()[0].Claims().OutHash; got != hashOf(r.body) {
			t.Errorf("out_hash = %v, want that of the encoded bytes", got)
		}
		zr, err := gzip.NewReader(bytes.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(zr); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("decoded: %d bytes, %v", len(got), err)
		}
		req = newRequest(t, "GET", p.site.URL, nil).WithContext(ctx)
		req.Header.Set("Accept-Encoding", "identity")
		if r, err := readReply(p.client.Do(req)); err != nil || r.err != nil || asked != "identity" || !bytes.Equal(r.body, plain) {
			t.Errorf("asked for %q: %v, %v", asked, r, err)
		}
		req = newRequest(t, "GET", p.site.URL, nil).WithContext(ctx)
		req.Header.Set("Range", "bytes=0-")
		if r, err := readReply(p.client.Do(req)); err != nil || r.err != nil || asked != "" {
			t.Errorf("with a range asked for %q: %v, %v", asked, r, err)
		}
		if r, err := p.call(ctx, t, "HEAD", "/", nil); err != nil || r.err != nil || asked != "" {
			t.Errorf("HEAD asked for %q: %v, %v", asked, r, err)
		}
	})
}

// TestGzipDiffers: a decoder that sees the end of its format does not hide that the
// bytes differ.
func TestGzipDiffers(t *testing.T) {
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	zw.Write([]byte("plain")) //nolint:errcheck // in memory
	zw.Close()
	for name, tail := range map[string]string{"as recorded": "", "more behind": "x"} {
		for place, put := range places {
			var p *pair
			body := append(bytes.Clone(zipped.Bytes()), tail...)
			inner := impostor(t, body, func(dispatch string) (header, trailer []string) {
				return put(p.to.Token(p.from.Identity).After(t, true, dispatch).With("out_hash", hashText(zipped.Bytes())).Sign(t))
			})
			p = newPair(t, with("Content-Encoding", "gzip", inner.ServeHTTP), bare)
			ctx, _ := p.start(t)
			r, err := p.call(ctx, t, "GET", "/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if tail == "" && (r.err != nil || string(r.body) != "plain") || tail != "" && core.CodeOf(r.err) != core.CodeBody {
				t.Errorf("%s, %s: %v, body %q", name, place, r, r.body)
			}
		}
	}
}

// TestResponseFieldsHidden: callers see no tokens in what comes back, and a receipt
// neither.
func TestResponseFieldsHidden(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, h := range map[string]http.HandlerFunc{"header": writes(10), "trailer": flushes(writes(10))} {
			outer := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					next.ServeHTTP(receiptWriter{w}, r)
				})
			}
			var p *pair
			p = newPair(t, outer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				httpect.Middleware(p.service)(h).ServeHTTP(w, r)
			})), bare, over(proto))
			ctx, _ := p.start(t)
			r, err := p.call(ctx, t, "GET", "/", nil)
			if err != nil || r.err != nil {
				t.Fatalf("%s: %v, %v", name, r, err)
			}
			if got := append(tokensIn(r.Header), tokensIn(r.Trailer)...); len(got) > 0 {
				t.Errorf("%s: the caller sees %d tokens and receipts", name, len(got))
			}
		}
	})
}

// receiptWriter adds a receipt, as a later version of a peer does.
type receiptWriter struct{ http.ResponseWriter }

func (w receiptWriter) WriteHeader(status int) {
	w.Header().Set(receiptField, ":AAAA:")
	w.ResponseWriter.WriteHeader(status)
}

func (w receiptWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
