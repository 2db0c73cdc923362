// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"testing"

	chimw "github.com/go-chi/chi/v5/middleware"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestCompressOutside says why the middleware stands outside of one that compresses: from
// further in it would record other bytes than go over the wire, and callers see a body
// that differs.
func TestCompressOutside(t *testing.T) {
	plain := bytes.Repeat([]byte("compressible "), 1000)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(plain) //nolint:errcheck // the client looks
	})
	compress := chimw.Compress(5, "text/plain")
	protos(t, func(t *testing.T, proto string) {
		good := newPair(t, compress(h), over(proto))
		ctx, _ := good.start(t)
		if r, err := good.call(ctx, t, "GET", "/", nil); err != nil || r.err != nil || !bytes.Equal(r.body, plain) {
			t.Errorf("ours outside: %v, %v", r, err)
		}
		bad := newPair(t, nil, over(proto), func(c *calls) {
			c.wrap = func(s *core.Service) http.Handler { return compress(httpect.Middleware(s)(h)) }
		})
		ctx, _ = bad.start(t)
		if r, err := bad.call(ctx, t, "GET", "/", nil); err != nil || core.CodeOf(r.err) != core.CodeAltered {
			t.Errorf("ours inside: %v, %v, want that the body was altered on the way", r, err)
		}
	})
}

// TestCompressedEvents: events pass one by one through a compressor further in.
func TestCompressedEvents(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		next := make(chan struct{})
		s := serve(t, proto, httpect.Middleware(w.service)(chimw.Compress(5, "text/event-stream")(http.HandlerFunc(
			func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "text/event-stream")
				for range 5 {
					io.WriteString(rw, "event\n") //nolint:errcheck // the client looks
					rw.(http.Flusher).Flush()     //nolint:forcetypeassert // the point of the test
					<-next
				}
			}))))
		req := newRequest(t, "GET", s.URL, nil, w.head(t))
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		r := &reply{Response: resp}
		wire := io.TeeReader(resp.Body, writerFunc(func(p []byte) { r.body = append(r.body, p...) }))
		zr, err := gzip.NewReader(wire)
		if err != nil {
			t.Fatal(err)
		}
		events := bufio.NewReader(zr)
		for range 5 {
			if line, err := events.ReadString('\n'); line != "event\n" {
				t.Fatalf("ReadString = %q, %v", line, err)
			}
			next <- struct{}{}
		}
		if rest, err := io.ReadAll(events); err != nil || len(rest) > 0 {
			t.Errorf("after the last event: %q, %v", rest, err)
		}
		io.Copy(io.Discard, wire) //nolint:errcheck // the hash says whether all came
		if c := w.answer(t, r).Claims(); c.OutHash != hashOf(r.body) || r.place() != "trailer" {
			t.Errorf("out_hash = %v, the token in %s", c.OutHash, r.place())
		}
	})
}

// writerFunc is called with what is written.
type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// TestWrappersOutside: a wrapper further out, as loggers have, sees what went out: the
// status once, and the bytes; flushes reach it.
func TestWrappersOutside(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, h := range map[string]http.HandlerFunc{"whole": writes(10), "flushed": flushes(writes(10)), "large": writes(100_000)} {
			w := newWorld(t)
			logged := make(chan int, 2)
			ours := httpect.Middleware(w.service)(h)
			s := serve(t, proto, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				outer := chimw.NewWrapResponseWriter(rw, r.ProtoMajor)
				ours.ServeHTTP(outer, r)
				logged <- outer.Status()
				logged <- outer.BytesWritten()
			}))
			r := s.send(t, "GET", "/", nil, w.head(t))
			if status, n := wait(t, logged, "the status"), wait(t, logged, "the bytes"); status != 200 || n != len(r.body) {
				t.Errorf("%s: logged are status %d, %d bytes, want 200, %d", name, status, n, len(r.body))
			}
			want := "trailer"
			if name == "whole" {
				want = "header"
			}
			if c := w.answer(t, r).Claims(); c.OutHash != hashOf(r.body) || r.place() != want {
				t.Errorf("%s: out_hash = %v, the token in %s", name, c.OutHash, r.place())
			}
		}
	})
}

// TestWrappersInside: what a wrapper further in asks for, it finds.
func TestWrappersInside(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		next := make(chan struct{})
		s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			inner := chimw.NewWrapResponseWriter(rw, r.ProtoMajor)
			var tee bytes.Buffer
			inner.Tee(&tee)
			io.WriteString(inner, "one\n") //nolint:errcheck // the client looks
			if err := http.NewResponseController(inner).Flush(); err != nil {
				t.Errorf("Flush: %v", err)
			}
			<-next
			io.Copy(inner, bytes.NewReader([]byte("two\n"))) //nolint:errcheck // the client looks
			if inner.BytesWritten() != 8 || tee.String() != "one\ntwo\n" {
				t.Errorf("%d bytes, %q, want both lines", inner.BytesWritten(), tee.String())
			}
		})))
		resp, err := s.client.Do(newRequest(t, "GET", s.URL, nil, w.head(t)))
		if err != nil {
			t.Fatal(err)
		}
		close(next)
		r, err := readReply(resp, nil)
		if err != nil || r.err != nil || string(r.body) != "one\ntwo\n" || w.answer(t, r).Claims().OutHash != hashOf(r.body) {
			t.Errorf("%v, %q, %v", r, r.body, err)
		}
	})
}
