// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// upstream is a server behind a gateway. It answers with tokens and receipts of its own
// wherever it can, and keeps what came.
type upstream struct {
	site *site
	// mint makes an answer to a dispatch.
	mint func(dispatch string) string
	mu   sync.Mutex
	came []http.Header // header and trailer of requests
	sent []string      // tokens that went out
}

func newUpstream(t *testing.T, proto string) *upstream {
	t.Helper()
	u := &upstream{}
	u.site = serve(t, proto, u)
	return u
}

// token returns a token of the upstream: an answer where it was asked with a dispatch.
func (u *upstream) token(r *http.Request) string {
	token := "eyJhIjoxfQ.eyJhIjoxfQ.AAAA"
	if d := r.Header[httpect.FieldName]; len(d) > 0 {
		token = u.mint(d[0])
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sent = append(u.sent, token)
	return token
}

// last returns header and trailer of the last request.
func (u *upstream) last() (header, trailer http.Header) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.came[len(u.came)-2], u.came[len(u.came)-1]
}

// said tells whether a token went out.
func (u *upstream) said(token string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Contains(u.sent, token)
}

// ServeHTTP implements http.Handler. The path says where tokens go.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body) //nolint:errcheck // the trailer counts
	u.mu.Lock()
	u.came = append(u.came, maps.Clone(r.Header), maps.Clone(r.Trailer))
	u.mu.Unlock()
	token := u.token(r)
	h := w.Header()
	h["Vary"] = []string{"Accept-Encoding, execution-context"}
	set := func(prefix string) {
		h[prefix+httpect.FieldName] = []string{token}
		h[prefix+receiptField] = []string{":AAAA:"}
	}
	flush := func() { http.NewResponseController(w).Flush() }
	switch r.URL.Path {
	case "/header":
		set("")
		io.WriteString(w, "body") //nolint:errcheck // the client looks
	case "/other-case":
		h["execution-context"], h["EXECUTION-CONTEXT-RECEIPT"] = []string{token}, []string{":AAAA:"}
		io.WriteString(w, "body") //nolint:errcheck // the client looks
	case "/trailer":
		h["Trailer"] = []string{httpect.FieldName, receiptField + ", X-Sum"}
		io.WriteString(w, "body") //nolint:errcheck // the client looks
		flush()
		set("")
		h.Set("X-Sum", "7")
	case "/unannounced":
		io.WriteString(w, "body") //nolint:errcheck // the client looks
		flush()
		set(http.TrailerPrefix)
	case "/informational":
		set("")
		h.Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		h.Del(httpect.FieldName)
		h.Del(receiptField)
		io.WriteString(w, "body") //nolint:errcheck // the client looks
	case "/events":
		set("")
		h.Set("Content-Type", "text/event-stream")
		for range 3 {
			io.WriteString(w, "data: 1\n\n") //nolint:errcheck // the client looks
			flush()
		}
	case "/empty":
		set("")
		w.WriteHeader(http.StatusNoContent)
	case "/upgrade":
		u.upgrade(w, token)
	}
}

// upgrade takes the connection over and echoes a line.
func (u *upstream) upgrade(w http.ResponseWriter, token string) {
	c, b, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n%s: %s\r\n%s: :AAAA:\r\n\r\n",
		httpect.FieldName, token, receiptField)
	if line, err := b.ReadString('\n'); err == nil {
		io.WriteString(c, line) //nolint:errcheck // the client looks
	}
}

// gateways are ways to pass a request on.
var gateways = map[string]func(t *testing.T, target string, rt http.RoundTripper) http.Handler{
	"ReverseProxy": func(t *testing.T, target string, rt http.RoundTripper) http.Handler {
		t.Helper()
		to, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		return &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: rt, FlushInterval: -1,
			ErrorLog: log.New(io.Discard, "", 0),
		}
	},
	"copying": func(t *testing.T, target string, rt http.RoundTripper) http.Handler {
		t.Helper()
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			req := newRequest(t, r.Method, target+r.URL.Path, r.Body).WithContext(r.Context())
			req.Header, req.Trailer, req.ContentLength = r.Header, r.Trailer, r.ContentLength
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Errorf("RoundTrip: %v", err)
				return
			}
			defer resp.Body.Close()
			maps.Copy(w.Header(), resp.Header)
			for name := range resp.Trailer {
				w.Header().Add("Trailer", name)
			}
			w.WriteHeader(resp.StatusCode)
			http.NewResponseController(w).Flush()
			if _, err := io.Copy(w, resp.Body); err != nil { // also reads the trailer
				t.Errorf("the body: %v", err)
			}
			for name, values := range resp.Trailer {
				w.Header()[http.TrailerPrefix+name] = values
				w.Header()[name] = values
			}
		})
	},
}

// TestGateway: nothing that came from one side reaches the other, in any section, but our
// own dispatch and our own answer.
func TestGateway(t *testing.T) {
	paths := []string{"/header", "/other-case", "/trailer", "/unannounced", "/informational", "/events", "/empty"}
	for name, gateway := range gateways {
		for _, transport := range []string{"plain", "ours, a stranger", "ours, a peer"} {
			t.Run(name+", "+transport, func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					u := newUpstream(t, proto)
					w := newWorld(t, func(s *setup) {
						if transport == "ours, a peer" {
							s.tells = append(s.tells, core.Audience{
								ID: ecttest.Name + "/upstream", Endpoints: []string{u.site.URL}, Tokens: true, Answer: core.AnswerOptional,
							})
						}
					})
					u.mint = func(dispatch string) string {
						return w.domain.Agent(t, "upstream").Token(w.to.Identity).After(t, true, dispatch).Sign(t)
					}
					var rt http.RoundTripper = u.site.transport(t)
					if transport != "plain" {
						rt = newTransport(t, w.service, rt)
					}
					s := serve(t, proto, httpect.Middleware(w.service)(gateway(t, u.site.URL, rt)))
					for _, path := range paths {
						t.Run(path, func(t *testing.T) {
							passage{w, u, s, transport == "ours, a peer", name == "ReverseProxy"}.take(t, path)
						})
					}
				})
			})
		}
	}
}

// passage is a way through a gateway to an upstream.
type passage struct {
	*world   // of the gateway
	upstream *upstream
	site     *site
	// dispatched tells that the upstream gets a token of the gateway's, informs that 1xx
	// responses are passed on.
	dispatched, informs bool
}

// take makes a request and looks at what came out at both ends.
func (w passage) take(t *testing.T, path string) {
	t.Helper()
	head := w.head(t)
	var early []http.Header
	req := newRequest(t, "POST", w.site.URL+path, chunked([]byte("sent")), head)
	req.Header[receiptField] = []string{":AAAA:"}
	req.Header["Execution-Context-Receipt-X"] = []string{"another's"}
	req.Trailer = http.Header{httpect.FieldName: {head}, receiptField: {":AAAA:"}, "X-Sum": {"7"}}
	r, err := w.site.do(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			early = append(early, http.Header(h))
			return nil
		},
	})))
	if err != nil || r.err != nil || r.StatusCode >= 300 {
		t.Fatalf("%v, %v", r, err)
	}

	var issued []*core.Issued
	if w.dispatched {
		issued = append(issued, w.seen.next(t))
	}
	issued = append(issued, w.seen.next(t))
	w.seen.none(t)
	header, trailer := w.upstream.last()
	got := header[httpect.FieldName]
	if w.dispatched != (len(got) == 1 && got[0] == issued[0].Text()) || !w.dispatched && len(got) > 0 {
		t.Errorf("%d tokens came upstream; want our dispatch alone: %v", len(got), w.dispatched)
	}
	if n := len(tokensIn(header)) - len(got) + len(tokensIn(trailer)); n > 0 {
		t.Errorf("%d more tokens or receipts came upstream", n)
	}
	if header.Get("Execution-Context-Receipt-X") == "" {
		t.Error("a field that is not ours did not come upstream")
	}

	if w.informs && path == "/informational" && (len(early) != 1 || early[0].Get("Link") == "") {
		t.Errorf("of 103s came %v", early)
	}
	for _, h := range early {
		if n := len(tokensIn(h)); n > 0 {
			t.Errorf("%d tokens or receipts came in a 103", n)
		}
	}
	if n := len(tokensIn(r.Header)) + len(tokensIn(r.Trailer)); n != 1 {
		t.Errorf("%d tokens and receipts came back, want 1", n)
	}
	if v := w.answer(t, r); v.Digest() != issued[len(issued)-1].Digest() {
		t.Error("what came back is not the gateway's answer")
	}
	if slices.ContainsFunc(r.tokens(), w.upstream.said) {
		t.Error("the upstream's token came back")
	}
	if hasVary(r.Header) != 1 || !strings.Contains(strings.Join(r.Header["Vary"], ","), "Accept-Encoding") {
		t.Errorf("Vary = %q", r.Header["Vary"])
	}
	if path == "/trailer" && r.Trailer.Get("X-Sum") != "7" {
		t.Error("a trailer that is not ours was lost")
	}
}

// TestGatewayUpgrade: a connection that changes its protocol takes no token along.
func TestGatewayUpgrade(t *testing.T) {
	for _, transport := range []string{"plain", "ours, a stranger", "ours, a peer"} {
		t.Run(transport, func(t *testing.T) {
			u := newUpstream(t, http1)
			w := newWorld(t, func(s *setup) {
				if transport == "ours, a peer" {
					s.tells = append(s.tells, core.Audience{
						ID: ecttest.Name + "/upstream", Endpoints: []string{u.site.URL}, Tokens: true, Answer: core.AnswerRequired,
					})
				}
			})
			u.mint = func(dispatch string) string {
				return w.domain.Agent(t, "upstream").Token(w.to.Identity).After(t, true, dispatch).Sign(t)
			}
			var rt http.RoundTripper = u.site.transport(t)
			if transport != "plain" {
				rt = newTransport(t, w.service, rt)
			}
			s := serve(t, http1, httpect.Middleware(w.service)(gateways["ReverseProxy"](t, u.site.URL, rt)))
			c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprintf(c, "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n%s: %s\r\n%s: :AAAA:\r\n\r\n",
				httpect.FieldName, w.head(t), receiptField)
			b := bufio.NewReader(c)
			resp, err := http.ReadResponse(b, nil)
			if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != "echo" {
				t.Fatalf("%v, %v", resp, err)
			}
			if n := len(tokensIn(resp.Header)); n > 0 {
				t.Errorf("%d tokens or receipts came back", n)
			}
			io.WriteString(c, "hello\n") //nolint:errcheck // reading says it
			if line, err := b.ReadString('\n'); line != "hello\n" {
				t.Errorf("ReadString = %q, %v", line, err)
			}
			want := 0
			if transport == "ours, a peer" {
				want = 1
			}
			header, _ := u.last()
			if n := len(tokensIn(header)); n != want {
				t.Errorf("%d tokens and receipts came upstream, want %d", n, want)
			}
		})
	}
}

// TestFetchedFieldsHidden: what a transport fetched has no token in any section, whether
// the peer is named or not.
func TestFetchedFieldsHidden(t *testing.T) {
	for _, named := range []bool{false, true} {
		protos(t, func(t *testing.T, proto string) {
			u := newUpstream(t, proto)
			w := newWorld(t, func(s *setup) {
				s.tells = []core.Audience{{ID: ecttest.Name + "/upstream", Endpoints: []string{u.site.URL}, Tokens: named, Answer: core.AnswerOptional}}
			})
			u.mint = func(dispatch string) string {
				return w.domain.Agent(t, "upstream").Token(w.to.Identity).After(t, true, dispatch).Sign(t)
			}
			client := &http.Client{Transport: newTransport(t, w.service, u.site.transport(t))}
			for _, path := range []string{"/header", "/other-case", "/trailer", "/unannounced", "/informational", "/events", "/empty"} {
				ctx, _ := startTask(t, w.service)
				early := http.Header{}
				ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
					Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
						maps.Copy(early, http.Header(h))
						return nil
					},
				})
				resp, err := client.Do(newRequest(t, "GET", u.site.URL+path, nil).WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				if n := len(tokensIn(resp.Trailer)); n > 0 || hasOurs(resp.Trailer) || hasOurs(resp.Header) {
					t.Errorf("%s: before the body the header has %v, the trailer %v", path, resp.Header, resp.Trailer)
				}
				r, err := readReply(resp, err)
				if err != nil || r.err != nil {
					t.Fatalf("%s: %v, %v", path, r, err)
				}
				if hasOurs(r.Header) || hasOurs(r.Trailer) || hasOurs(early) {
					t.Errorf("%s: the caller sees tokens or receipts: header %v, trailer %v, 103 %v", path, len(tokensIn(r.Header)), len(tokensIn(r.Trailer)), early)
				}
				if path == "/trailer" && r.Trailer.Get("X-Sum") != "7" {
					t.Error("a trailer that is not ours was lost")
				}
				if path == "/informational" && early.Get("Link") == "" {
					t.Error("the 103 was lost")
				}
			}
		})
	}
}

// hasOurs tells whether a section names our fields at all, even without a value.
func hasOurs(h http.Header) bool {
	for name := range h {
		if strings.EqualFold(name, httpect.FieldName) || strings.EqualFold(name, receiptField) {
			return true
		}
	}
	return false
}
