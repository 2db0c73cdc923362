// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestInteractive: events are there before the next one is sent, and the answer at the
// end of them.
func TestInteractive(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		next := make(chan struct{})
		p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c := http.NewResponseController(w)
			for n := range 10 {
				fmt.Fprintf(w, "event %d\n", n)
				if err := c.Flush(); err != nil {
					t.Errorf("Flush: %v", err)
				}
				<-next
			}
		}), over(proto))
		ctx, task := p.start(t)
		resp, err := p.client.Do(newRequest(t, "GET", p.site.URL, nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		b := bufio.NewReader(resp.Body)
		for n := range 10 {
			if line, err := b.ReadString('\n'); line != fmt.Sprintf("event %d\n", n) {
				t.Fatalf("ReadString = %q, %v", line, err)
			}
			if _, ok := httpect.AnswerOf(resp); ok {
				t.Error("AnswerOf: an answer before the end")
			}
			next <- struct{}{}
		}
		if rest, err := io.ReadAll(b); len(rest) > 0 || err != nil {
			t.Errorf("after the last event: %q, %v", rest, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		answer, ok := httpect.AnswerOf(resp)
		if !ok {
			t.Fatal("AnswerOf: none")
		}
		onlyPred(t, end(ctx, t, task), answer.Heads()[0].Claims().TaskID, "the answer")
	})
}

// TestBidirectional: a request goes on while its response comes.
func TestBidirectional(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			c.EnableFullDuplex() //nolint:errcheck // HTTP/2 always is
			c.Flush()
			in := bufio.NewScanner(r.Body)
			for in.Scan() {
				io.WriteString(w, in.Text()+"\n") //nolint:errcheck // the client looks
				c.Flush()
			}
		}), over(proto))
		ctx, task := p.start(t)
		pr, pw := io.Pipe()
		resp, err := p.client.Do(newRequest(t, "POST", p.site.URL, pr).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		echo := bufio.NewReader(resp.Body)
		for _, line := range []string{"one\n", "two\n", "three\n"} {
			io.WriteString(pw, line) //nolint:errcheck // read back next
			if got, err := echo.ReadString('\n'); got != line {
				t.Fatalf("ReadString = %q, %v; want %q", got, err, line)
			}
		}
		pw.Close()
		if rest, err := io.ReadAll(echo); err != nil || len(rest) > 0 {
			t.Errorf("ReadAll = %q, %v", rest, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		answer, ok := httpect.AnswerOf(resp)
		if !ok {
			t.Fatal("AnswerOf: none")
		}
		c := answer.Heads()[0].Claims()
		if want := hashOf([]byte("one\ntwo\nthree\n")); c.InpHash != want || c.OutHash != want {
			t.Errorf("inp_hash = %v, out_hash = %v, want %v", c.InpHash, c.OutHash, want)
		}
		onlyPred(t, end(ctx, t, task), c.TaskID, "the answer")
	})
}

// TestAnsweredEarly: the peer answers while the body is still to be sent, and the caller
// sends no more of it before it has the response.
func TestAnsweredEarly(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{"header": writes(10), "trailer": writes(httpect.DefaultResponseBuffer, 1)} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, h, over(http2), inWorld(ignoreBody))
			ctx, _ := p.start(t)
			ctx, cancel := context.WithTimeout(ctx, patience/4)
			defer cancel()
			pr, pw := io.Pipe()
			defer pw.Close()
			go io.WriteString(pw, "some") //nolint:errcheck // the peer does not read it
			r, err := p.call(ctx, t, "POST", "/", pr)
			if err != nil || r.err != nil {
				t.Fatalf("call = %v, %v: the transport waits for the body to be sent", r, err)
			}
			if _, ok := httpect.AnswerOf(r.Response); !ok {
				t.Error("AnswerOf: none")
			}
		})
	}
}

// TestLargeTrailer: a trailer section is not larger than HTTP/1.1 clients read: Go's own
// takes no more than 4 KiB.
func TestLargeTrailer(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, h := range map[string]http.HandlerFunc{
			"context": func(w http.ResponseWriter, r *http.Request) {
				task, _ := core.TaskFromContext(r.Context())
				for range 10 {
					if _, err := task.Step(r.Context(), "step", core.StepInput{}); err != nil {
						t.Error(err)
					}
				}
				flushes(writes(10))(w, r)
			},
			"annotations": func(w http.ResponseWriter, r *http.Request) {
				task, _ := core.TaskFromContext(r.Context())
				if err := task.Annotate("com.example.note", []byte(`"`+strings.Repeat("x", 2250)+`"`)); err != nil {
					t.Error(err)
				}
				flushes(writes(10))(w, r)
			},
			"context beside a trailer of the handler's": with("Trailer", "X-Large", func(w http.ResponseWriter, r *http.Request) {
				task, _ := core.TaskFromContext(r.Context())
				for range 3 {
					if _, err := task.Step(r.Context(), "step", core.StepInput{}); err != nil {
						t.Error(err)
					}
				}
				flushes(writes(10))(w, r)
				w.Header().Set("X-Large", strings.Repeat("x", 2000))
			}),
		} {
			t.Run(name, func(t *testing.T) {
				p := newPair(t, h, over(proto), inWorld(func(s *setup) { s.tells[0].Context = core.MaxContext }))
				ctx, _ := p.start(t)
				r, err := p.call(ctx, t, "GET", "/", nil)
				if err != nil || r.err != nil || len(r.body) != 16 {
					t.Fatalf("call = %v, %v", r, err)
				}
				answer, ok := httpect.AnswerOf(r.Response)
				if !ok {
					t.Fatal("AnswerOf: none")
				}
				t.Logf("with %d context tokens", len(answer.Context()))
			})
		}
	})
}

// TestUpgrade: an upgraded connection is the caller's.
func TestUpgrade(t *testing.T) {
	p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, b, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("Hijack: %v", err)
			return
		}
		defer c.Close()
		io.WriteString(b, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n"+ //nolint:errcheck // the client looks
			"Execution-Context: a.b.c\r\n\r\n")
		b.Flush()
		io.Copy(c, b) //nolint:errcheck // until the client closes
	}))
	ctx, task := p.start(t)
	req := newRequest(t, "GET", p.site.URL, nil).WithContext(ctx)
	req.Header.Set("Connection", "upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := p.client.Do(req)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("Do = %v, %v", resp, err)
	}
	if len(tokensIn(resp.Header)) > 0 {
		t.Error("a token is left in the header")
	}
	rwc, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("the body of a 101 is a %T", resp.Body)
	}
	io.WriteString(rwc, "hello\n") //nolint:errcheck // read back next
	if got, err := bufio.NewReader(rwc).ReadString('\n'); got != "hello\n" {
		t.Errorf("echo = %q, %v", got, err)
	}
	if err := rwc.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	onlyPred(t, end(ctx, t, task), p.told.next(t).Claims().TaskID, "the dispatch")
}

// TestLargeExchange: no body is held whole on either side.
func TestLargeExchange(t *testing.T) {
	const size = 5 << 20
	protos(t, func(t *testing.T, proto string) {
		p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, r.Body) //nolint:errcheck // the client looks
		}), over(proto))
		ctx, _ := p.start(t)
		body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
		r, err := p.call(ctx, t, "PUT", "/", bytes.NewReader(body))
		if proto == http1 {
			// net/http reads no more of the body once the response has begun.
			if err == nil && r.err == nil && len(r.body) == size {
				return
			}
			p = newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.NewResponseController(w).EnableFullDuplex() //nolint:errcheck // the client looks
				io.Copy(w, r.Body)                               //nolint:errcheck // the client looks
			}), over(proto))
			ctx, _ = p.start(t)
			r, err = p.call(ctx, t, "PUT", "/", bytes.NewReader(body))
		}
		if err != nil || r.err != nil || len(r.body) != size {
			t.Fatalf("call = %v, %v", r, err)
		}
		answer, ok := httpect.AnswerOf(r.Response)
		if !ok {
			t.Fatal("AnswerOf: none")
		}
		if c := answer.Heads()[0].Claims(); c.InpHash != hashOf(body) || c.OutHash != hashOf(body) {
			t.Errorf("inp_hash = %v, out_hash = %v", c.InpHash, c.OutHash)
		}
	})
}

// TestCloseWhileReading: a body can be closed while somebody waits in Read.
func TestCloseWhileReading(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		p := newPair(t, flushes(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), answerOptional, over(proto))
		ctx, _ := p.start(t)
		resp, err := p.client.Do(newRequest(t, "GET", p.site.URL, nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		begun, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			io.ReadFull(resp.Body, make([]byte, len("begun "))) //nolint:errcheck // what comes next counts
			close(begun)
			_, err := resp.Body.Read(make([]byte, 10))
			ended <- err
		}()
		wait(t, begun, "the reader")
		closed := make(chan error, 1)
		go func() { closed <- resp.Body.Close() }()
		wait(t, closed, "Close")
		if err := wait(t, ended, "the reader's end"); err == nil {
			t.Error("Read got more out of a closed body")
		}
	})
}

// listener hands out connections in memory, for bubbles.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { close(l.closed); return nil }
func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *listener) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, errors.New("nobody listens")
	}
}

// TestNoLeaks runs exchanges of every kind in a bubble, which fails if a goroutine is
// left behind, and where closing an endless stream takes what its clock says.
func TestNoLeaks(t *testing.T) {
	const endpoint = "http://peer.example"
	forever := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, "more and more\n") //nolint:errcheck // until the client is gone
			http.NewResponseController(w).Flush()
		}
	}
	silent := flushes(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		use     func(t *testing.T, resp *http.Response)
		policy  core.AnswerPolicy
	}{
		"read": {writes(10), func(t *testing.T, resp *http.Response) {
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Errorf("ReadAll: %v", err)
			}
		}, core.AnswerRequired},
		"not read":          {writes(10), func(*testing.T, *http.Response) {}, core.AnswerRequired},
		"a stream not read": {writes(100_000), func(*testing.T, *http.Response) {}, core.AnswerRequired},
		"a panic":           {flushes(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), nil, core.AnswerOptional},
		"endless, optional": {forever, func(*testing.T, *http.Response) {}, core.AnswerOptional},
		"endless, required": {forever, nil, core.AnswerRequired},
		"silent, optional":  {silent, func(*testing.T, *http.Response) {}, core.AnswerOptional},
		"silent, required":  {silent, nil, core.AnswerRequired},
		"read then closed":  {forever, func(_ *testing.T, resp *http.Response) { io.ReadFull(resp.Body, make([]byte, 1000)) }, core.AnswerOptional}, //nolint:errcheck // closing counts
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				caller, _ := newService(t, w.domain, w.from, setup{
					policy: w.from.Policy(),
					tells:  []core.Audience{{ID: w.to.Identity, Endpoints: []string{endpoint}, Tokens: true, Hashes: true, Answer: c.policy}},
				}, newSeen())
				l := &listener{make(chan net.Conn), make(chan struct{})}
				srv := &http.Server{Handler: httpect.Middleware(w.service)(c.handler)}
				go srv.Serve(l) //nolint:errcheck // ends with Close
				base := &http.Transport{DialContext: l.dial}
				client := &http.Client{Transport: newTransport(t, caller, base)}
				ctx, _ := startTask(t, caller)
				resp, err := client.Do(newRequest(t, "POST", endpoint, strings.NewReader("body")).WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				if c.use != nil {
					c.use(t, resp)
				}
				if err := resp.Body.Close(); (err != nil) != (c.use == nil) && name != "a panic" {
					t.Errorf("Close: %v", err)
				}
				base.CloseIdleConnections()
				if err := srv.Close(); err != nil {
					t.Errorf("Close of the server: %v", err)
				}
			})
		})
	}
}
