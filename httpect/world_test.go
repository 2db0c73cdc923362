// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

const (
	http1 = "HTTP/1.1"
	http2 = "HTTP/2.0"

	receiptField = "Execution-Context-Receipt"
	// patience is how long a test waits for what must happen before it says that it
	// hangs.
	patience = 20 * time.Second
)

// protos runs a test over both versions of HTTP.
func protos(t *testing.T, f func(t *testing.T, proto string)) {
	t.Helper()
	for _, p := range []string{http1, http2} {
		t.Run(p, func(t *testing.T) { f(t, p) })
	}
}

// world is a service and a caller that it knows.
type world struct {
	domain   *ecttest.Domain
	from, to *ecttest.Agent
	service  *core.Service
	seen     *seen
	signer   *switchSigner
}

// setup is what a test changes about a world before it is made.
type setup struct {
	policy     core.Policy
	tells      []core.Audience
	verifyOnly bool
	options    []core.VerifierOption
}

func newWorld(tb testing.TB, edits ...func(*setup)) *world {
	tb.Helper()
	d := ecttest.NewDomain()
	w := &world{domain: d, from: d.Agent(tb, "from"), to: d.Agent(tb, "to"), seen: newSeen()}
	s := setup{
		policy: w.to.Policy(),
		tells:  []core.Audience{{ID: w.from.Identity, Tokens: true, Hashes: true}},
	}
	for _, e := range edits {
		e(&s)
	}
	w.service, w.signer = newService(tb, d, w.to, s, w.seen)
	return w
}

func newService(tb testing.TB, binder core.Binder, a *ecttest.Agent, s setup, o *seen) (*core.Service, *switchSigner) {
	tb.Helper()
	v, err := core.NewVerifier(binder, s.policy, append(s.options, core.WithObserver(o.observer()))...)
	if err != nil {
		tb.Fatalf("NewVerifier: %v", err)
	}
	key, err := core.NewSigner(a.Key, a.KeyID)
	if err != nil {
		tb.Fatalf("NewSigner: %v", err)
	}
	signer := &switchSigner{Signer: key}
	var issuer *core.Issuer
	if !s.verifyOnly {
		if issuer, err = core.NewIssuer(a.Identity, signer); err != nil {
			tb.Fatalf("NewIssuer: %v", err)
		}
	}
	audiences, err := core.NewAudiences(s.tells...)
	if err != nil {
		tb.Fatalf("NewAudiences: %v", err)
	}
	service, err := core.NewService(v, issuer, audiences)
	if err != nil {
		tb.Fatalf("NewService: %v", err)
	}
	return service, signer
}

func ignoreBody(s *setup)                      { s.policy.Body = core.BodyIgnore }
func allowPartial(s *setup)                    { s.policy.Missing = core.AllowPartial }
func verifyOnly(s *setup)                      { s.verifyOnly = true }
func tellNobody(s *setup)                      { s.tells = nil }
func acceptL1(s *setup)                        { s.policy.MinLevel = core.L1 }
func empty(http.ResponseWriter, *http.Request) {}

// switchSigner fails while fail is set, and takes as many nanoseconds as takes says, or
// as it is given.
type switchSigner struct {
	core.Signer
	fail  atomic.Bool
	takes atomic.Int64
}

var errSigner = errors.New("the key service is down")

func (s *switchSigner) Sign(ctx context.Context, input []byte) ([]byte, error) {
	if s.fail.Load() {
		return nil, errSigner
	}
	if d := s.takes.Load(); d > 0 {
		select {
		case <-time.After(time.Duration(d)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.Signer.Sign(ctx, input)
}

// seen is what the observers of a service were told.
type seen struct {
	mu                             sync.Mutex
	rejected, differed, unrecorded []core.Code
	altered                        []core.Code
	unsent                         []*core.Issued
	leaked                         []leak
	verified                       int
	// issued has every token in the order of issuing.
	issued chan *core.Issued
}

// leak is what an observer was told of one.
type leak struct {
	endpoint string
	headers  []string
}

func newSeen() *seen { return &seen{issued: make(chan *core.Issued, 1<<12)} }

func (s *seen) observer() core.Observer {
	note := func(list *[]core.Code) func(context.Context, *core.Error, core.VerifyInfo) {
		return func(_ context.Context, err *core.Error, _ core.VerifyInfo) {
			s.mu.Lock()
			defer s.mu.Unlock()
			*list = append(*list, err.Code)
		}
	}
	return core.Observer{
		Rejected: note(&s.rejected), BodyDiffered: note(&s.differed), Unrecorded: note(&s.unrecorded),
		Altered: note(&s.altered),
		Verified: func(context.Context, *core.Received, core.VerifyInfo) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.verified++
		},
		Leaked: func(_ context.Context, endpoint string, headers []string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.leaked = append(s.leaked, leak{endpoint, headers})
		},
		Issued: func(_ context.Context, i *core.Issued) {
			select {
			case s.issued <- i:
			default: // benchmarks issue more than anybody looks at
			}
		},
		Unsent: func(_ context.Context, i *core.Issued) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.unsent = append(s.unsent, i)
		},
	}
}

// codes returns a list of codes and empties it.
func (s *seen) codes(list *[]core.Code) []core.Code {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := *list
	*list = nil
	return all
}

func (s *seen) leaks() []leak {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaked
}

func (s *seen) unsentCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.unsent)
}

// next returns the next token that was issued, and waits for it.
func (s *seen) next(t testing.TB) *core.Issued {
	t.Helper()
	return wait(t, s.issued, "an issued token")
}

// none fails if a token was issued.
func (s *seen) none(t testing.TB) {
	t.Helper()
	select {
	case i := <-s.issued:
		t.Errorf("a token was issued: %+v", i.Claims())
	default:
	}
}

// wait receives from a channel, and fails if nothing ever comes.
func wait[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}

// site is a server on a socket, and a client of it that knows nothing of tokens.
type site struct {
	*httptest.Server
	proto  string
	client *http.Client
}

func serve(tb testing.TB, proto string, h http.Handler, edits ...func(*httptest.Server)) *site {
	tb.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, e := range edits {
		e(srv)
	}
	if proto == http2 {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	} else {
		srv.Start()
	}
	tb.Cleanup(srv.Close)
	s := &site{Server: srv, proto: proto}
	s.client = &http.Client{Transport: s.transport(tb)}
	return s
}

// transport returns a transport of its own to the site.
func (s *site) transport(tb testing.TB) *http.Transport {
	tb.Helper()
	t, ok := s.Client().Transport.(*http.Transport)
	if !ok {
		tb.Fatalf("the server's client has a %T", s.Client().Transport)
	}
	t = t.Clone()
	t.DisableCompression = true
	tb.Cleanup(t.CloseIdleConnections)
	return t
}

// reply is a response, read whole.
type reply struct {
	*http.Response
	body []byte
	// err is what reading the body ended with, nil at its end.
	err error
}

// String keeps bodies and tokens out of what tests print.
func (r *reply) String() string {
	if r == nil {
		return "no reply"
	}
	return fmt.Sprintf("status %d, %d bytes, error %v, tokens in %s", r.StatusCode, len(r.body), r.err, r.place())
}

// send sends a request that carries tokens as field lines.
func (s *site) send(tb testing.TB, method, path string, body io.Reader, tokens ...string) *reply {
	tb.Helper()
	req := newRequest(tb, method, s.URL+path, body, tokens...)
	r, err := s.do(req)
	if err != nil {
		tb.Fatalf("%s %s: %v", method, path, err)
	}
	if r.Proto != s.proto {
		tb.Fatalf("%s %s came by %s, want %s", method, path, r.Proto, s.proto)
	}
	return r
}

func newRequest(tb testing.TB, method, url string, body io.Reader, tokens ...string) *http.Request {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, url, body)
	if err != nil {
		tb.Fatal(err)
	}
	if len(tokens) > 0 {
		req.Header[httpect.FieldName] = tokens
	}
	return req
}

func (s *site) do(req *http.Request) (*reply, error) { return readReply(s.client.Do(req)) }

func readReply(resp *http.Response, err error) (*reply, error) {
	if err != nil {
		return nil, err
	}
	r := &reply{Response: resp}
	r.body, r.err = io.ReadAll(resp.Body)
	if err := resp.Body.Close(); r.err == nil {
		r.err = err
	}
	return r, nil
}

// raw sends bytes to a server without TLS and reads one response.
func (s *site) raw(t testing.TB, method, text string) *reply {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	r, err := readReply(http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// place says where the tokens of a reply stand.
func (r *reply) place() string {
	header, trailer := r.Header[httpect.FieldName] != nil, r.Trailer[httpect.FieldName] != nil
	switch {
	case header && trailer:
		return "both"
	case header:
		return "header"
	case trailer:
		return "trailer"
	}
	return "none"
}

func (r *reply) tokens() []string {
	return slices.Concat(r.Header[httpect.FieldName], r.Trailer[httpect.FieldName])
}

// answer verifies the one token of a reply as the caller would.
func (w *world) answer(t testing.TB, r *reply) *core.Verified {
	t.Helper()
	p := w.from.Policy()
	p.Missing = core.AllowPartial
	v, err := core.NewVerifier(w.domain, p)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.tokens()); n != 1 {
		t.Fatalf("%d tokens came back (status %d, %s), want 1", n, r.StatusCode, r.body)
	}
	got, err := v.Verify(t.Context(), core.Presented{Values: r.tokens()})
	if err != nil {
		t.Fatalf("the answer: %v", err)
	}
	return got.Heads()[0]
}

func hashOf(b []byte) core.Hash { return core.Hash{Sum: sha256.Sum256(b), Present: true} }

func hashText(b []byte) string {
	s := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(s[:])
}

// head mints a good token from the caller.
func (w *world) head(tb testing.TB) string { return w.from.Token(w.to.Identity).Sign(tb) }

// headOver mints a token that names the body it goes with.
func (w *world) headOver(tb testing.TB, body []byte) string {
	return w.from.Token(w.to.Identity).With("out_hash", hashText(body)).Sign(tb)
}

func parse(tb testing.TB, token string) *core.Unverified {
	tb.Helper()
	u, err := core.ParseWithoutVerification(token)
	if err != nil {
		tb.Fatalf("ParseWithoutVerification: %v", err)
	}
	return u
}

// hasVary tells how often the field is named in Vary.
func hasVary(h http.Header) (n int) {
	for _, v := range h.Values("Vary") {
		for name := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(name), httpect.FieldName) {
				n++
			}
		}
	}
	return n
}
