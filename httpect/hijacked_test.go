// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestHijackerGetsAll: whoever takes a connection over gets all that comes over it, a
// bound body included that came already: the middleware reads none of it.
func TestHijackerGetsAll(t *testing.T) {
	for _, sent := range []string{"recorded", "another!"} {
		w := newWorld(t)
		taken := make(chan *bufio.ReadWriter, 1)
		s := serve(t, http1, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			c, b, err := http.NewResponseController(rw).Hijack()
			if err != nil {
				t.Errorf("Hijack: %v", err)
				close(taken)
				return
			}
			t.Cleanup(func() { c.Close() })
			taken <- b // and returns: what comes belongs to who has the connection
		})))
		client, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s: %s\r\n\r\n%s",
			len(sent), httpect.FieldName, w.headOver(t, []byte("recorded")), sent)
		c := w.seen.next(t).Claims() // once the middleware is done
		if c.InpHash.Present || c.OutHash.Present || c.Ext.Status != 101 || len(c.Pred) != 1 {
			t.Errorf("claims = %+v, want a record without a hash", c)
		}
		b := wait(t, taken, "the connection")
		client.Close()
		if got, err := io.ReadAll(b); string(got) != sent || err != nil {
			t.Errorf("the hijacker gets %q, %v, want %q", got, err, sent)
		}
		if got := w.seen.codes(&w.seen.differed); len(got) > 0 {
			t.Errorf("reported as differing: %v", got)
		}
	}
}

// TestActionPanics: the caller's function that names the action panics once the handler
// has returned. The task is recorded as one that failed, and the panic goes on.
func TestActionPanics(t *testing.T) {
	w := newWorld(t)
	h := httpect.Middleware(w.service, httpect.WithAction(func(*http.Request) string { panic("no name") }))(writes(10))
	rec := httptest.NewRecorder()
	func() {
		defer func() {
			if p := recover(); p != "no name" {
				t.Errorf("recover() = %v, want the panic of the function", p)
			}
		}()
		h.ServeHTTP(rec, newRequest(t, "GET", "/", nil, w.head(t)))
	}()
	c := w.seen.next(t).Claims()
	w.seen.none(t)
	if c.Ext.Outcome != core.OutcomeError || len(c.Pred) != 1 || c.Action != "GET" {
		t.Errorf("claims = %+v, want the record of a task that failed", c)
	}
	if rec.Body.Len() > 0 || len(tokensIn(rec.Header())) > 0 {
		t.Errorf("of the response went out %q, header %v", rec.Body, rec.Header())
	}
}

// TestHijackAfterHeader: a header that the handler wrote goes out before the connection
// is the handler's, as net/http does it; WebSocket libraries and proxies rely on it.
func TestHijackAfterHeader(t *testing.T) {
	for _, status := range []int{http.StatusSwitchingProtocols, http.StatusOK} {
		w := newWorld(t)
		s := serve(t, http1, httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Upgrade", "echo")
			rw.Header().Set("Connection", "Upgrade")
			rw.Header().Set(httpect.FieldName, "a.b.c")
			rw.WriteHeader(status)
			rw.Header().Set("Upgrade", "late")
			c, b, err := rw.(http.Hijacker).Hijack() //nolint:forcetypeassert // the point of the test
			if err != nil {
				t.Errorf("Hijack: %v", err)
				return
			}
			defer c.Close()
			if line, err := b.ReadString('\n'); err != nil {
				t.Errorf("ReadString = %q, %v", line, err)
			}
			io.WriteString(b, "hello\n") //nolint:errcheck // the client looks
			b.Flush()
		})))
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // or the test hangs
		fmt.Fprintf(c, "CONNECT / HTTP/1.1\r\nHost: x\r\n%s: %s\r\n\r\n", httpect.FieldName, w.head(t))
		b := bufio.NewReader(c)
		resp, err := http.ReadResponse(b, &http.Request{Method: http.MethodConnect})
		if err != nil || resp.StatusCode != status || resp.Header.Get("Upgrade") != "echo" || len(tokensIn(resp.Header)) > 0 {
			t.Fatalf("ReadResponse = %v, %v, want the header that the handler wrote", resp, err)
		}
		io.WriteString(c, "hello\n") //nolint:errcheck // read back next
		if line, err := b.ReadString('\n'); err != nil || line != "hello\n" {
			t.Errorf("ReadString = %q, %v", line, err)
		}
		cl := w.seen.next(t).Claims()
		w.seen.none(t)
		if cl.Ext.Status != status || cl.OutHash.Present || len(cl.Pred) != 1 {
			t.Errorf("claims = %+v, want a record of %d without a hash", cl, status)
		}
	}
}
