// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// row is one kind of exchange of the matrix: what is sent, what the handler does with it,
// and what comes of that where nothing goes wrong.
type row struct {
	name string
	// proto is the only version of HTTP that has it, "" for both.
	proto   string
	method  string // GET unless set
	options []httpect.Option
	// body is what the client sends, with a length unless chunked is set; bound tells that
	// the token names its hash.
	body           []byte
	chunked, bound bool
	trailer        http.Header
	// raw is sent as it is over a connection of its own, with the token for %s.
	raw string
	// handle answers. It calls middle once, in the middle of its work.
	handle func(w http.ResponseWriter, r *http.Request, middle func()) error

	status int // 200 unless set
	reply  []byte
	// place is where the answer stands; otherwise over HTTP/2, if that is not the same.
	place, http2 string
	// unsent tells that the answer should have been sent; unhashed that it names no reply;
	// endless that nothing on the wire says where the response ends but that it ends.
	unsent, unhashed, endless bool
}

func (r row) placeOver(proto string) string {
	if proto == http2 && r.http2 != "" {
		return r.http2
	}
	return r.place
}

// manner is the way in which an exchange goes.
type manner struct {
	name string
	// slow tells that the client reads a little at a time, leaves that it leaves once the
	// handler is in the middle of its work.
	slow, leaves bool
	// before and middle are what the handler panics with then.
	before, middle any
	outcome        core.Outcome
}

var errNo = errors.New("no")

var manners = []manner{
	{name: "plain"},
	{name: "slow client", slow: true},
	{name: "client leaves", leaves: true, outcome: core.OutcomeCancelled},
	{name: "panic before the first byte", before: errNo, outcome: core.OutcomeError},
	{name: "panic in the middle", middle: errNo, outcome: core.OutcomeError},
	{name: "abort before the first byte", before: http.ErrAbortHandler, outcome: core.OutcomeError},
	{name: "abort in the middle", middle: http.ErrAbortHandler, outcome: core.OutcomeError},
	{name: "client leaves, then abort", leaves: true, middle: http.ErrAbortHandler, outcome: core.OutcomeCancelled},
	{name: "client leaves, then panic", leaves: true, middle: errNo, outcome: core.OutcomeError},
}

// fails tells that the handler does not come to its end.
func (m manner) fails() bool { return m.before != nil || m.middle != nil }

// bench is where the cells of one row and version are tried, one after the other.
type bench struct {
	*world
	row    row
	site   *site
	slow   *http.Client
	manner atomic.Pointer[manner]
	// reached gets a value when the handler is in the middle, ended its error at the end, and
	// done when the middleware is done as well.
	reached, done chan struct{}
	ended         chan error
}

// TestMatrix tries every kind of exchange in every manner over both versions of HTTP: what
// the client sees, what is recorded, and where the answer is.
func TestMatrix(t *testing.T) {
	for _, r := range rows() {
		protos(t, func(t *testing.T, proto string) {
			if r.proto != "" && r.proto != proto {
				return
			}
			b := newBench(t, r, proto)
			for _, m := range manners {
				t.Run(r.name+"/"+m.name, func(t *testing.T) { b.try(t, &m) })
			}
		})
	}
}

func newBench(t *testing.T, r row, proto string) *bench {
	t.Helper()
	b := &bench{world: newWorld(t), row: r, reached: make(chan struct{}, 1), done: make(chan struct{}, 1), ended: make(chan error, 1)}
	h := httpect.Middleware(b.service, r.options...)(b)
	b.site = serve(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { b.done <- struct{}{} }()
		h.ServeHTTP(w, r)
	}))
	tr := b.site.transport(t)
	tr.DialContext = dialSlow
	tr.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 16 << 10, MaxReceiveBufferPerConnection: 128 << 10}
	b.slow = &http.Client{Transport: tr}
	return b
}

// dialSlow makes connections that do not take all at once.
func dialSlow(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if tcp, ok := c.(*net.TCPConn); ok {
		err = tcp.SetReadBuffer(64 << 10)
	}
	return c, err
}

func (b *bench) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := b.manner.Load()
	if m.before != nil {
		panic(m.before)
	}
	b.ended <- b.row.handle(w, r, func() {
		b.reached <- struct{}{}
		if m.leaves {
			io.Copy(io.Discard, r.Body) //nolint:errcheck // over HTTP/1 only who reads learns that nobody sends
			<-r.Context().Done()
		}
		if m.middle != nil {
			panic(m.middle)
		}
	})
}

// outcome is what the client saw.
type outcome struct {
	*reply
	err  error
	size int64
	hash core.Hash
}

// whole tells whether a response came to its end.
func (o outcome) whole() bool { return o.err == nil && o.reply.err == nil }

// exchange sends the row's request and reads what comes.
func (b *bench) exchange(ctx context.Context, t *testing.T, m *manner) outcome {
	resp, err := b.send(ctx, t, m)
	if err != nil {
		return outcome{err: err}
	}
	o := outcome{reply: &reply{Response: resp}}
	h := sha256.New()
	var body io.Reader = resp.Body
	if m.slow {
		body = &little{r: resp.Body}
	}
	o.size, o.reply.err = io.Copy(h, body)
	if err := resp.Body.Close(); o.reply.err == nil {
		o.reply.err = err
	}
	o.hash = core.Hash{Sum: [32]byte(h.Sum(nil)), Present: true}
	return o
}

// little gives a few bytes at a time, the first ones alone.
type little struct {
	r io.Reader
	n int
}

func (l *little) Read(p []byte) (int, error) {
	l.n = min(l.n+1, 512, len(p))
	return l.r.Read(p[:l.n])
}

func (b *bench) send(ctx context.Context, t *testing.T, m *manner) (*http.Response, error) {
	t.Helper()
	token := b.head(t)
	if b.row.bound {
		token = b.headOver(t, b.row.body)
	}
	if b.row.raw != "" {
		return b.sendRaw(ctx, t, token)
	}
	var body io.Reader
	if b.row.body != nil {
		body = bytes.NewReader(b.row.body)
	}
	if b.row.chunked {
		body = io.MultiReader(body)
	}
	req := newRequest(t, b.row.method, b.site.URL, body, token).WithContext(ctx)
	req.Trailer = b.row.trailer.Clone()
	client := b.site.client
	if m.slow {
		client = b.slow
	}
	if req.Trailer != nil {
		// A trailer that comes once the server has reset its stream ends the connection over
		// HTTP/2, under whatever goes over it next.
		tr := client.Transport.(*http.Transport).Clone() //nolint:forcetypeassert // as newBench made it
		t.Cleanup(tr.CloseIdleConnections)
		client = &http.Client{Transport: tr}
	}
	return client.Do(req)
}

func (b *bench) sendRaw(ctx context.Context, t *testing.T, token string) (*http.Response, error) {
	t.Helper()
	c, err := dialSlow(ctx, "tcp", b.site.Listener.Addr().String())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	context.AfterFunc(ctx, func() { c.Close() })
	if _, err := fmt.Fprintf(c, b.row.raw, token); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: b.row.method})
	if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = c
	}
	return resp, err
}

// try tries a manner.
func (b *bench) try(t *testing.T, m *manner) {
	b.manner.Store(m)
	unsent := b.seen.unsentCount()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	seen := make(chan outcome, 1)
	go func() { seen <- b.exchange(ctx, t, m) }()
	if m.before == nil {
		wait(t, b.reached, "the middle")
	}
	if m.leaves {
		cancel()
	}
	if !m.fails() {
		if err := wait(t, b.ended, "the handler's end"); err != nil && !m.leaves {
			t.Errorf("the handler: %v", err)
		}
	}
	got := wait(t, seen, "the client's end")
	t.Logf("the client: %v, %v", got.err, got.reply)
	wait(t, b.done, "the server's end")
	issued := b.seen.next(t)
	b.seen.none(t)
	b.record(t, m, issued.Claims())
	if m.fails() || m.leaves {
		if got.whole() && !b.row.endless {
			t.Errorf("%v seems whole", got.reply)
		}
		return
	}
	b.response(t, got, issued)
	if n := b.seen.unsentCount() - unsent; (n == 1) != (b.row.unsent && b.row.placeOver(b.site.proto) == "none") {
		t.Errorf("%d records were reported as not sent", n)
	}
}

// record checks what is recorded.
func (b *bench) record(t *testing.T, m *manner, c core.Claims) {
	t.Helper()
	if len(c.Pred) != 1 {
		t.Errorf("pred = %v, want the head", c.Pred)
	}
	if c.Ext.Outcome != m.outcome {
		t.Errorf("outcome = %v, want %v", c.Ext.Outcome, m.outcome)
	}
	switch status := c.Ext.Status; {
	case m.fails() && status != 0, m.leaves && status != 0 && status != b.row.status:
		t.Errorf("status = %d of a response that was not completed", status)
	case !m.fails() && !m.leaves && status != b.row.status:
		t.Errorf("status = %d, want %d", status, b.row.status)
	}
	whole := !m.fails() && !m.leaves
	// A part of a body is none, and a body that was not read to its end has no hash.
	if want := hashOf(b.row.body); c.InpHash.Present && c.InpHash != want || whole && !c.InpHash.Present {
		t.Errorf("inp_hash = %v, want %v", c.InpHash, want)
	}
	switch want := hashOf(b.row.reply); {
	case (m.fails() || b.row.unhashed) && c.OutHash.Present:
		t.Error("out_hash of a response that did not go out")
	case c.OutHash.Present && c.OutHash != want, whole && !b.row.unhashed && !c.OutHash.Present:
		t.Errorf("out_hash = %v, want %v", c.OutHash, want)
	}
}

// response checks what the client sees of an exchange in which nothing went wrong.
func (b *bench) response(t *testing.T, got outcome, issued *core.Issued) {
	t.Helper()
	if !got.whole() {
		t.Fatalf("the client: %v, %v", got.err, got.reply)
	}
	if got.StatusCode != b.row.status {
		t.Errorf("status = %d, want %d", got.StatusCode, b.row.status)
	}
	if got.size != int64(len(b.row.reply)) || got.hash != hashOf(b.row.reply) {
		t.Errorf("%d bytes came, want those %d that were written", got.size, len(b.row.reply))
	}
	place := got.place()
	if want := b.row.placeOver(b.site.proto); place != want {
		t.Errorf("the answer is in %s, want %s", place, want)
	}
	if hasVary(got.Header) != 1 && !b.row.unhashed {
		t.Errorf("Vary = %q", got.Header["Vary"])
	}
	if place == "none" {
		return
	}
	if v := b.answer(t, got.reply); v.Digest() != issued.Digest() {
		t.Error("the answer is not what was recorded")
	}
}
