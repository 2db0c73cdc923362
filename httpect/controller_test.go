// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestFlush: what was flushed is there before the handler goes on.
func TestFlush(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		next := make(chan struct{})
		s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			for range 5 {
				io.WriteString(rw, "event\n") //nolint:errcheck // the client looks
				rw.(http.Flusher).Flush()     //nolint:forcetypeassert // the point of the test
				<-next
			}
		})))
		resp, err := s.client.Do(newRequest(t, "GET", s.URL, nil, w.head(t)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b := bufio.NewReader(resp.Body)
		for range 5 {
			if line, err := b.ReadString('\n'); line != "event\n" {
				t.Fatalf("ReadString = %q, %v", line, err)
			}
			next <- struct{}{}
		}
		if rest, err := io.ReadAll(b); len(rest) > 0 || err != nil {
			t.Errorf("after the last event: %q, %v", rest, err)
		}
		if len(resp.Trailer[httpect.FieldName]) != 1 {
			t.Errorf("trailer = %v", resp.Trailer)
		}
	})
}

func TestDeadlines(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t, ignoreBody)
		s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(rw)
			if err := c.SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
				t.Errorf("SetWriteDeadline: %v", err)
			}
			if err := c.SetReadDeadline(time.Now().Add(-time.Hour)); err != nil {
				t.Errorf("SetReadDeadline: %v", err)
			}
			if _, err := io.ReadAll(r.Body); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("ReadAll = %v, want that the deadline passed", err)
			}
		})))
		pr, pw := io.Pipe()
		defer pw.Close()
		// Over HTTP/1.1 the server closes the connection with the body half read.
		r, err := s.do(newRequest(t, "POST", s.URL, pr, w.head(t)))
		if c := w.seen.next(t).Claims(); c.InpHash.Present {
			t.Errorf("inp_hash of a body that was not read to its end (%v, %v)", r, err)
		}
	})
}

// TestFullDuplex: over HTTP/1.1 a handler answers while it reads.
func TestFullDuplex(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(rw)
			if err := c.EnableFullDuplex(); err != nil && proto == http1 {
				t.Errorf("EnableFullDuplex: %v", err)
			}
			if err := c.Flush(); err != nil {
				t.Errorf("Flush: %v", err)
			}
			in := bufio.NewScanner(r.Body)
			for in.Scan() {
				io.WriteString(rw, in.Text()+"\n") //nolint:errcheck // the client looks
				c.Flush()
			}
		})))
		pr, pw := io.Pipe()
		resp, err := s.client.Do(newRequest(t, "POST", s.URL, pr, w.head(t)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		echo := bufio.NewReader(resp.Body)
		for _, line := range []string{"one\n", "two\n"} {
			io.WriteString(pw, line) //nolint:errcheck // read back next
			if got, err := echo.ReadString('\n'); got != line {
				t.Fatalf("ReadString = %q, %v; want %q", got, err, line)
			}
		}
		pw.Close()
		if rest, err := io.ReadAll(echo); err != nil || len(rest) > 0 {
			t.Errorf("ReadAll = %q, %v", rest, err)
		}
		c := w.seen.next(t).Claims()
		if want := hashOf([]byte("one\ntwo\n")); c.InpHash != want || c.OutHash != want {
			t.Errorf("inp_hash = %v, out_hash = %v; want both of what went to and fro", c.InpHash, c.OutHash)
		}
	})
}

func TestHijack(t *testing.T) {
	w := newWorld(t)
	s := serve(t, http1, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		c, b, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Errorf("Hijack: %v", err)
			return
		}
		defer c.Close()
		if _, err := rw.Write([]byte("x")); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("Write = %v, want ErrHijacked", err)
		}
		if err := http.NewResponseController(rw).Flush(); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("Flush = %v, want ErrHijacked", err)
		}
		rw.WriteHeader(500)                                                                                   // changes nothing
		io.WriteString(b, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n") //nolint:errcheck // the client looks
		b.Flush()
		line, err := b.ReadString('\n')
		if err != nil {
			t.Errorf("ReadString: %v", err)
		}
		io.WriteString(b, line) //nolint:errcheck // the client looks
		b.Flush()
	})))
	req := newRequest(t, "GET", s.URL, nil, w.head(t))
	req.Header.Set("Connection", "upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := s.client.Do(req)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("Do = %v, %v", resp, err)
	}
	defer resp.Body.Close()
	rw, ok := resp.Body.(io.ReadWriter)
	if !ok {
		t.Fatalf("the body of a 101 is a %T", resp.Body)
	}
	io.WriteString(rw, "hello\n") //nolint:errcheck // read back next
	if got, err := bufio.NewReader(rw).ReadString('\n'); got != "hello\n" {
		t.Errorf("echo = %q, %v", got, err)
	}
	c := w.seen.next(t).Claims()
	if c.OutHash.Present || c.Ext.Status != 101 || len(c.Pred) != 1 {
		t.Errorf("claims = %+v; want a record without a hash of what went over the connection", c)
	}
	if resp.Header[httpect.FieldName] != nil {
		t.Error("a token came with the upgrade")
	}
}

func TestHijackHTTP2(t *testing.T) {
	w := newWorld(t)
	s := serve(t, http2, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if _, _, err := http.NewResponseController(rw).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack = %v, want ErrNotSupported", err)
		}
		writes(10)(rw, r) // goes on as if nothing had happened
	})))
	w.answer(t, s.send(t, "GET", "/", nil, w.head(t)))
}

// TestInformational: 1xx responses pass at once, and without our field.
func TestInformational(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		seen := make(chan textproto.MIMEHeader, 2)
		s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Link", "</style.css>; rel=preload")
			rw.Header().Set(httpect.FieldName, "a.b.c")
			rw.WriteHeader(http.StatusEarlyHints)
			rw.WriteHeader(http.StatusProcessing)
			writes(10)(rw, r)
		})))
		req := newRequest(t, "GET", s.URL, nil, w.head(t))
		var codes []int
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				codes = append(codes, code)
				seen <- h
				return nil
			},
		}))
		r, err := s.do(req)
		if err != nil || r.StatusCode != 200 {
			t.Fatalf("Do = %v, %v", r, err)
		}
		if diff := cmp.Diff([]int{103, 102}, codes); diff != "" {
			t.Errorf("informational responses (-want +got):\n%s", diff)
		}
		for range codes {
			if h := <-seen; h.Get("Link") == "" || h.Get(httpect.FieldName) != "" {
				t.Errorf("the informational header is %v", h)
			}
		}
		if c := w.answer(t, r).Claims(); c.Ext.Status != 200 {
			t.Errorf("status = %d, want the last one", c.Ext.Status)
		}
	})
}

// TestExpectContinue: a client that waits to be asked for its body is asked if the
// handler reads it, and not left to wait if it does not.
func TestExpectContinue(t *testing.T) {
	body := strings.Repeat("x", 10_000)
	for name, h := range map[string]http.HandlerFunc{
		"read":              func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }, //nolint:errcheck // the client looks
		"refused":           answers(417),
		"refused at length": writes(httpect.DefaultResponseBuffer, 1),
		"refused at once":   flushes(empty),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := serve(t, http1, httpect.Middleware(w.service)(h))
			tr := s.transport(t)
			tr.ExpectContinueTimeout = time.Hour
			s.client.Transport = tr
			ctx, cancel := context.WithTimeout(t.Context(), patience/4)
			defer cancel()
			req := newRequest(t, "POST", s.URL, strings.NewReader(body), w.headOver(t, []byte(body))).WithContext(ctx)
			req.Header.Set("Expect", "100-continue")
			r, err := s.do(req)
			if err != nil || r.err != nil {
				t.Fatalf("Do = %v, %v: client and server wait for each other", r, err)
			}
			if c := w.answer(t, r).Claims(); name == "read" && c.InpHash != hashOf([]byte(body)) {
				t.Errorf("inp_hash = %v", c.InpHash)
			}
		})
	}
}

// TestHandlerStillReads: a handler may leave a goroutine that reads the body behind, as
// proxies do; net/http ends it when the handler returns.
func TestHandlerStillReads(t *testing.T) {
	w := newWorld(t, ignoreBody)
	ended := make(chan error, 1)
	s := serve(t, http2, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		reading := make(chan struct{})
		go func() {
			b := make([]byte, 4)
			io.ReadFull(r.Body, b) //nolint:errcheck // what comes next is what counts
			close(reading)
			_, err := r.Body.Read(b)
			ended <- err
		}()
		<-reading
		writes(10)(rw, r)
	})))
	pr, pw := io.Pipe()
	defer pw.Close()
	go io.WriteString(pw, "some") //nolint:errcheck // the handler reads it
	ctx, cancel := context.WithTimeout(t.Context(), patience/4)
	defer cancel()
	r, err := s.do(newRequest(t, "POST", s.URL, pr, w.head(t)).WithContext(ctx))
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("Do = %v, %v: the middleware waits for the reader", r, err)
	}
	if err := wait(t, ended, "the reader's end"); err == nil {
		t.Error("the reader got more")
	}
	if c := w.answer(t, r).Claims(); c.InpHash.Present {
		t.Error("inp_hash of a body that was not read to its end")
	}
}

// TestFullDuplexBound: over HTTP/1.1 too, a handler that asked for it answers before a
// bound body was sent, and what differs is still seen.
func TestFullDuplexBound(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, sent := range map[string]string{"good": "recorded", "bad": "another"} {
			w := newWorld(t)
			s := serve(t, proto, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				c := http.NewResponseController(rw)
				if err := c.EnableFullDuplex(); err != nil && proto == http1 {
					t.Errorf("EnableFullDuplex: %v", err)
				}
				flushes(empty)(rw, r)
				io.Copy(rw, r.Body) //nolint:errcheck // the client looks
			})))
			pr, pw := io.Pipe()
			ctx, cancel := context.WithTimeout(t.Context(), patience/4)
			defer cancel()
			resp, err := s.client.Do(newRequest(t, "POST", s.URL, pr, w.headOver(t, []byte("recorded"))).WithContext(ctx))
			if err != nil {
				t.Fatalf("Do: %v: the answer waits for the body", err)
			}
			if _, err := io.ReadFull(resp.Body, make([]byte, len("begun "))); err != nil {
				t.Fatalf("ReadFull: %v", err)
			}
			io.WriteString(pw, sent) //nolint:errcheck // the answer counts
			pw.Close()
			r, err := readReply(resp, nil)
			if err != nil || (r.err != nil) != (name == "bad") {
				t.Errorf("%s: %v, %v", name, r, err)
			}
			if name == "good" {
				if c := w.answer(t, r).Claims(); c.InpHash != hashOf([]byte(sent)) {
					t.Errorf("inp_hash = %v", c.InpHash)
				}
			}
		}
	})
}

// TestHeadLength: a handler's response to HEAD has the fields that it has without the
// middleware.
func TestHeadLength(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, h := range map[string]http.HandlerFunc{
			"its own":           with("Content-Length", "1000", empty),
			"its own, and more": with("Content-Length", "1000", writes(400, 600)),
			"nothing":           empty,
			"as for GET":        writes(10),
			"in parts":          writes(300, 300, 300),
			"of its own type":   with("Content-Type", "text/css", writes(700)),
			"coded":             with("Content-Encoding", "br", writes(700)),
			"in chunks":         with("Transfer-Encoding", "chunked", writes(700)),
			"not modified":      answers(http.StatusNotModified),
		} {
			w := newWorld(t)
			got := serve(t, proto, httpect.Middleware(w.service)(h)).send(t, "HEAD", "/", nil, w.head(t))
			bare := serve(t, proto, h).send(t, "HEAD", "/", nil)
			for _, field := range []string{"Content-Length", "Content-Type"} {
				if got.Header.Get(field) != bare.Header.Get(field) {
					t.Errorf("%s: %s = %q, %q without the middleware", name, field, got.Header.Get(field), bare.Header.Get(field))
				}
			}
			if c := w.answer(t, got).Claims(); c.OutHash != hashOf(nil) || c.Ext.Outcome != core.OutcomeOK || got.place() != "header" {
				t.Errorf("%s: out_hash = %v, outcome = %v, the token in %s", name, c.OutHash, c.Ext.Outcome, got.place())
			}
		}
	})
}

// TestHeadOfLargeResponse: where net/http does not see all that a handler writes in answer
// to HEAD, the length is that of GET all the same, and nothing of it is kept.
func TestHeadOfLargeResponse(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		s := serve(t, proto, httpect.Middleware(w.service, httpect.WithResponseBuffer(0))(writes(100_000, 100_000)))
		r := s.send(t, "HEAD", "/", nil, w.head(t))
		if got := r.Header.Get("Content-Length"); got != "200000" || r.place() != "header" {
			t.Errorf("Content-Length = %q, the token in %s", got, r.place())
		}
		if c := w.answer(t, r).Claims(); c.OutHash != hashOf(nil) {
			t.Errorf("out_hash = %v, want that of nothing", c.OutHash)
		}
	})
}
