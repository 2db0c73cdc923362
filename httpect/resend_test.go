// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestResend: a server that runs the handler and closes a connection that was used
// before, without a word. What net/http then sends again it sends with the same fields.
func TestResend(t *testing.T) {
	for _, c := range []struct {
		name   string
		method string
		key    bool
		// status is what the caller gets, 0 for an error; runs how often the handler ran;
		// dispatched how often the transport dispatched, and refused how often the peer
		// saw a replay.
		status, runs, dispatched, refused int
	}{
		{"GET", "GET", false, 200, 2, 2, 1},
		{"OPTIONS", "OPTIONS", false, 200, 2, 2, 1},
		{"TRACE", "TRACE", false, 200, 2, 2, 1},
		{"HEAD", "HEAD", false, 403, 1, 1, 1},
		{"POST", "POST", false, 0, 1, 1, 0},
		{"POST with a key", "POST", true, 403, 1, 1, 1},
		{"PUT", "PUT", false, 0, 1, 1, 0},
		{"PUT with a key", "PUT", true, 200, 2, 2, 1},
		{"DELETE", "DELETE", false, 0, 1, 1, 0},
		{"DELETE with a key", "DELETE", true, 200, 2, 2, 1},
		{"PATCH", "PATCH", false, 0, 1, 1, 0},
		{"PATCH with a key", "PATCH", true, 403, 1, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ran atomic.Int32
			p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body) //nolint:errcheck // the connection counts
				if r.URL.Path == "/drop" && ran.Add(1) == 1 {
					panic(http.ErrAbortHandler)
				}
				writes(10)(w, r)
			}))
			ctx, _ := p.start(t)
			if r, err := p.call(ctx, t, "GET", "/warm", nil); err != nil || r.err != nil {
				t.Fatal(err, r)
			}
			p.told.next(t)
			var body io.Reader
			if c.method[0] == 'P' {
				body = strings.NewReader("sent")
			}
			req := newRequest(t, c.method, p.site.URL+"/drop", body).WithContext(ctx)
			if c.key {
				req.Header.Set("Idempotency-Key", "7")
			}
			r, err := readReply(p.client.Do(req))
			switch {
			case c.status == 0:
				if err == nil {
					t.Errorf("Do = %v, want an error", r)
				}
			case err != nil || r.StatusCode != c.status:
				t.Errorf("Do = %v, %v, want status %d", r, err, c.status)
			case c.status == 403 && c.method != "HEAD" && !bytes.Contains(r.body, []byte(`"code":"replayed"`)):
				t.Errorf("the body is %q", r.body)
			case c.status == 200 && r.err != nil:
				t.Errorf("reading: %v", r.err)
			}
			if int(ran.Load()) != c.runs {
				t.Errorf("the handler ran %d times, want %d", ran.Load(), c.runs)
			}
			for range c.dispatched {
				p.told.next(t)
			}
			p.told.none(t)
			refused := p.seen.codes(&p.seen.rejected)
			if len(refused) != c.refused || slices.ContainsFunc(refused, func(c core.Code) bool { return c != core.CodeReplayed }) {
				t.Errorf("the peer refused %v, want %d replays", refused, c.refused)
			}
		})
	}
}

// TestResendUnprocessed: over HTTP/2 a server says what it never looked at, and net/http
// sends that again, POST as well: it succeeds with the same token.
func TestResendUnprocessed(t *testing.T) {
	const rstStream, goAway, refusedStream = 3, 7, 7
	for name, refuse := range map[string]func(stream uint32) []byte{
		"REFUSED_STREAM": func(stream uint32) []byte {
			// With the connection's end announced, the next stream is on another.
			return slices.Concat(frame(rstStream, stream, number(refusedStream)), frame(goAway, 0, number(stream), number(0)))
		},
		"GOAWAY": func(uint32) []byte { return frame(goAway, 0, number(0), number(0)) },
	} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(name+" "+method, func(t *testing.T) {
				var refused, ran atomic.Int32
				p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					ran.Add(1)
					io.Copy(w, r.Body) //nolint:errcheck // the client looks
				}), func(c *calls) {
					c.server = []func(*httptest.Server){func(s *httptest.Server) {
						s.Config.Protocols = unencrypted2()
						s.Listener = &refusing{Listener: s.Listener, refuse: refuse, refused: &refused}
					}}
					c.base = func(base http.RoundTripper) http.RoundTripper {
						tr, ok := base.(*http.Transport)
						if !ok {
							t.Fatalf("the base is a %T", base)
						}
						tr.Protocols = unencrypted2()
						return tr
					}
				})
				ctx, task := p.start(t)
				var body io.Reader
				if method == "POST" {
					body = strings.NewReader("sent")
				}
				r, err := p.call(ctx, t, method, "/", body)
				if err != nil || r.err != nil || r.StatusCode != 200 || r.ProtoMajor != 2 || body != nil && string(r.body) != "sent" {
					t.Fatalf("call = %v, %v", r, err)
				}
				if refused.Load() != 1 || ran.Load() != 1 {
					t.Errorf("refused %d times, ran %d times, want both once", refused.Load(), ran.Load())
				}
				d := p.told.next(t).Claims()
				p.told.none(t)
				answer, ok := httpect.AnswerOf(r.Response)
				if !ok {
					t.Fatal("AnswerOf: none")
				}
				onlyPred(t, answer.Heads()[0].Claims(), d.TaskID, "the one dispatch")
				end(ctx, t, task)
				if got := p.seen.codes(&p.seen.rejected); len(got) > 0 {
					t.Errorf("the peer refused %v", got)
				}
			})
		}
	}
}

func unencrypted2() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// refusing is a listener whose first connection refuses its first stream (RFC 9113, 6.4
// and 6.8).
type refusing struct {
	net.Listener
	refuse  func(stream uint32) []byte
	refused *atomic.Int32
	taken   atomic.Bool
}

// Accept implements net.Listener.
func (l *refusing) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || l.taken.Swap(true) {
		return c, err
	}
	if err := l.turnAway(c); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		return nil, err
	}
	return l.Listener.Accept()
}

// turnAway speaks as much HTTP/2 as it takes to refuse a stream, until the client closes.
func (l *refusing) turnAway(c net.Conn) error {
	defer c.Close()
	const settings, headers, preface = 4, 1, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	if _, err := c.Write(frame(settings, 0)); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, c, int64(preface)); err != nil {
		return err
	}
	for {
		var head [9]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return err
		}
		length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, c, length); err != nil {
			return err
		}
		if head[3] == headers && l.refused.Add(1) == 1 {
			if _, err := c.Write(l.refuse(binary.BigEndian.Uint32(head[5:]))); err != nil {
				return err
			}
			return nil
		}
	}
}

// frame is a frame of HTTP/2.
func frame(kind byte, stream uint32, payload ...[]byte) []byte {
	p := slices.Concat(payload...)
	head := []byte{byte(len(p) >> 16), byte(len(p) >> 8), byte(len(p)), kind, 0}
	return slices.Concat(binary.BigEndian.AppendUint32(head, stream), p)
}

func number(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// TestRedirectDispatches: each call of a redirect has a dispatch of its own, which comes
// after the answer of the one before.
func TestRedirectDispatches(t *testing.T) {
	for _, c := range []struct {
		status         int
		method, second string
	}{
		{http.StatusTemporaryRedirect, "POST", "POST"}, {http.StatusPermanentRedirect, "POST", "POST"},
		{http.StatusTemporaryRedirect, "PUT", "PUT"}, {http.StatusPermanentRedirect, "GET", "GET"},
		{http.StatusSeeOther, "POST", "GET"}, {http.StatusFound, "POST", "GET"}, {http.StatusMovedPermanently, "PUT", "GET"},
	} {
		t.Run(http.StatusText(c.status)+" "+c.method, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				var came []string
				p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					came = append(came, r.Method+" "+string(body))
					if r.URL.Path == "/" {
						http.Redirect(w, r, "/there", c.status)
					}
				}), over(proto), inWorld(allowPartial))
				ctx, _ := p.start(t)
				var body io.Reader
				sent := ""
				if c.method != "GET" {
					sent = "sent"
					body = strings.NewReader(sent)
				}
				r, err := p.call(ctx, t, c.method, "/", body)
				if err != nil || r.err != nil || r.StatusCode != 200 {
					t.Fatalf("call = %v, %v", r, err)
				}
				first, second := p.told.next(t).Claims(), p.told.next(t).Claims()
				p.told.none(t)
				if first.TaskID == second.TaskID {
					t.Error("both calls had one dispatch")
				}
				answered := p.seen.next(t).Claims()
				onlyPred(t, answered, first.TaskID, "the first dispatch")
				onlyPred(t, second, answered.TaskID, "the answer of the first")
				if c.second == "GET" {
					sent = ""
				}
				if len(came) != 2 || came[1] != c.second+" "+sent {
					t.Errorf("came %q, want %s with %q at last", came, c.second, sent)
				}
			})
		})
	}
}
