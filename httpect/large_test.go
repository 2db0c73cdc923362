// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestHeldBack: the end of a body waits for its last byte, and the rest does not.
func TestHeldBack(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		body := bytes.Repeat([]byte("x"), 5*httpect.HoldBack)
		first := make(chan int)
		s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			n, err := io.ReadFull(r.Body, make([]byte, len(body)-httpect.HoldBack))
			if err != nil {
				t.Errorf("ReadFull = %d, %v while the sender has not ended", n, err)
			}
			first <- n
			rest, err := io.ReadAll(r.Body)
			if err != nil || len(rest) != httpect.HoldBack {
				t.Errorf("ReadAll = %d bytes, %v; want what was held back", len(rest), err)
			}
		})))
		pr, pw := io.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			r, err := s.do(newRequest(t, "POST", s.URL, pr, w.headOver(t, body)))
			if err != nil || r.StatusCode != 200 {
				t.Errorf("Do = %v, %v", r, err)
			}
		}()
		if _, err := pw.Write(body); err != nil {
			t.Error(err)
		}
		wait(t, first, "the first bytes")
		pw.Close()
		wait(t, done, "the response")
	})
}

// TestLargeBody: memory does not grow with the body.
func TestLargeBody(t *testing.T) {
	const size = 5 << 20
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	w := newWorld(t)
	h := httpect.Middleware(w.service)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, struct{ io.Reader }{r.Body}); n != size || err != nil {
			t.Errorf("Copy = %d, %v", n, err)
		}
		if task, _ := core.TaskFromContext(r.Context()); task.BodyState() != core.BodyBound {
			t.Errorf("BodyState = %v", task.BodyState())
		}
	}))
	token := w.headOver(t, body)
	req := httptest.NewRequestWithContext(t.Context(), "POST", "/", chunked(body))
	req.Header.Set(httpect.FieldName, token)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h.ServeHTTP(httptest.NewRecorder(), req)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("a body of %d bytes took %d bytes of memory", size, n)
	}

	protos(t, func(t *testing.T, proto string) {
		s := serve(t, proto, h)
		r := s.send(t, "POST", "/", chunked(body), w.headOver(t, body))
		if c := w.answer(t, r).Claims(); c.InpHash != hashOf(body) {
			t.Errorf("inp_hash = %v", c.InpHash)
		}
		bad := bytes.Clone(body)
		bad[size-1]++
		refused := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			if core.CodeOf(err) != core.CodeBody || n > size-httpect.HoldBack {
				t.Errorf("Copy = %d, %v; want no more than all but the last %d, and that the body differs", n, err, httpect.HoldBack)
			}
		})))
		refused.send(t, "POST", "/", chunked(bad), w.headOver(t, body)).refused(t, core.CodeBody)
	})
}

// TestLargeResponse: nor with the response.
func TestLargeResponse(t *testing.T) {
	w := newWorld(t)
	piece := bytes.Repeat([]byte("x"), 64<<10)
	h := httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		for range 80 {
			rw.Write(piece) //nolint:errcheck // the client looks
		}
	}))
	req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	req.Header.Set(httpect.FieldName, w.head(t))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h.ServeHTTP(nowhere{http.Header{}}, req)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("a response of %d bytes took %d bytes of memory", 80*len(piece), n)
	}
	protos(t, func(t *testing.T, proto string) {
		r := serve(t, proto, h).send(t, "GET", "/", nil, w.head(t))
		if c := w.answer(t, r).Claims(); c.OutHash != hashOf(bytes.Repeat(piece, 80)) {
			t.Errorf("out_hash = %v", c.OutHash)
		}
	})
}

// nowhere is a response writer that keeps nothing.
type nowhere struct{ h http.Header }

func (n nowhere) Header() http.Header         { return n.h }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}

// TestConnectionBreaks: a body that was cut off is none, and no task is left without a
// record.
func TestConnectionBreaks(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		running := make(chan struct{})
		s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(running)
			if _, err := io.ReadAll(r.Body); err == nil {
				t.Error("a body that was cut off seems whole")
			}
			<-r.Context().Done()
		})))
		broken := errors.New("the sender's disk broke")
		body := io.MultiReader(bytes.NewReader(make([]byte, 10_000)), failing{running, broken})
		if _, err := s.do(newRequest(t, "POST", s.URL, body, w.headOver(t, nil))); !errors.Is(err, broken) {
			t.Errorf("Do = %v, want %v", err, broken)
		}
		if c := w.seen.next(t).Claims(); c.InpHash.Present || c.Ext.Outcome != core.OutcomeCancelled {
			t.Errorf("inp_hash = %v, outcome = %v", c.InpHash, c.Ext.Outcome)
		}
		if got := w.seen.codes(&w.seen.differed); len(got) > 0 {
			t.Errorf("reported as differing: %v", got)
		}
	})
}

// failing is a reader that fails once something else has happened.
type failing struct {
	after <-chan struct{}
	err   error
}

func (f failing) Read([]byte) (int, error) {
	<-f.after
	return 0, f.err
}
