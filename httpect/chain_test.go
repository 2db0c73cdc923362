// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// node is one service of a chain: a router of chi's behind the middleware, and a client
// of the services that it tells.
type node struct {
	agent  *ecttest.Agent
	seen   *seen
	router chi.Router
	site   *site
	// service and client are there once the audiences are known.
	service *core.Service
	client  *http.Client
}

// newNode starts the server of a service; tell makes the service.
func newNode(t *testing.T, d *ecttest.Domain, name, proto string) *node {
	t.Helper()
	n := &node{agent: d.Agent(t, name), seen: newSeen(), router: chi.NewRouter()}
	n.site = serve(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.router.ServeHTTP(w, r) }))
	return n
}

// tell makes the service, which knows its callers and those that it calls.
func (n *node) tell(t *testing.T, d *ecttest.Domain, callers, peers []*node) {
	t.Helper()
	s := setup{policy: n.agent.Policy()}
	for _, c := range callers {
		s.tells = append(s.tells, core.Audience{ID: c.agent.Identity, Tokens: true, Hashes: true})
	}
	for _, p := range peers {
		s.tells = append(s.tells, core.Audience{
			ID: p.agent.Identity, Endpoints: []string{p.site.URL}, Tokens: true, Hashes: true,
			Answer: core.AnswerRequired, Context: core.MaxContext,
		})
	}
	n.service, _ = newService(t, d, n.agent, s, n.seen)
	n.client = &http.Client{Transport: newTransport(t, n.service, insecureBase(t, n.site))}
}

func insecureBase(t *testing.T, s *site) http.RoundTripper {
	t.Helper()
	tr := s.transport(t)
	tr.DisableCompression = false
	if tr.TLSClientConfig != nil {
		tr.TLSClientConfig.InsecureSkipVerify = true
	}
	return tr
}

// ask calls another service in the name of the task of ctx, and returns what it said.
func (n *node) ask(ctx context.Context, t *testing.T, method, url, body string) string {
	t.Helper()
	r, err := readReply(n.client.Do(newRequest(t, method, url, strings.NewReader(body)).WithContext(ctx)))
	if err != nil || r.err != nil || r.StatusCode != 200 {
		t.Errorf("%s %s = %v, %v (%s)", method, url, r, err, r.body)
		return ""
	}
	if _, ok := httpect.AnswerOf(r.Response); !ok {
		t.Errorf("%s %s: no answer", method, url)
	}
	return string(r.body)
}

// TestChain: three services, each of which calls the next, and the graph that comes of
// it with no graph code in any handler.
func TestChain(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		d := ecttest.NewDomain()
		edge, middle, leaf := newNode(t, d, "edge", proto), newNode(t, d, "middle", proto), newNode(t, d, "leaf", proto)
		edge.tell(t, d, nil, []*node{middle})
		middle.tell(t, d, []*node{edge}, []*node{leaf})
		leaf.tell(t, d, []*node{middle}, nil)

		edge.router.Use(httpect.Middleware(edge.service, httpect.WithMode(httpect.Optional)))
		edge.router.Post("/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
			body := edge.ask(r.Context(), t, "POST", middle.site.URL+"/v1/bills/"+chi.URLParam(r, "id"), "bill")
			fmt.Fprintf(w, "edge(%s)", body)
		})
		middle.router.Route("/v1", func(r chi.Router) {
			r.Use(httpect.Middleware(middle.service))
			r.Post("/bills/{id}", func(w http.ResponseWriter, r *http.Request) {
				in, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				first := middle.ask(r.Context(), t, "POST", leaf.site.URL+"/pages/1", string(in)+"/1")
				second := middle.ask(r.Context(), t, "GET", leaf.site.URL+"/pages/2", "")
				fmt.Fprintf(w, "middle(%s, %s)", first, second)
			})
		})
		leaf.router.Group(func(r chi.Router) {
			r.Use(httpect.Middleware(leaf.service, httpect.WithResponseBuffer(4)))
			r.HandleFunc("/pages/{page}", func(w http.ResponseWriter, r *http.Request) {
				got, ok := core.ReceivedFromContext(r.Context())
				if !ok || got.Heads()[0].Complete() != core.Yes {
					t.Error("the leaf does not know the graph down to the roots")
				}
				in, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				fmt.Fprintf(w, "leaf(%s of %s)", chi.URLParam(r, "page"), in)
			})
		})
		r := edge.site.send(t, "POST", "/orders/7", bytes.NewReader([]byte("order")))
		if want := "edge(middle(leaf(1 of bill/1), leaf(2 of )))"; string(r.body) != want || r.place() != "none" {
			t.Fatalf("%v, body %q, want %q", r, r.body, want)
		}

		// edge: dispatch, root; middle: two dispatches and its task; leaf: two tasks.
		type token struct {
			action string
			pred   []string
		}
		names := map[core.UUID]string{}
		var got []token
		var wid core.Workflow
		collect := func(n *node, labels ...string) {
			for _, l := range labels {
				c := n.seen.next(t).Claims()
				names[c.TaskID] = l
				if wid == (core.Workflow{}) {
					wid = c.Workflow
				}
				if c.Workflow != wid {
					t.Errorf("%s is in workflow %v, want %v", l, c.Workflow, wid)
				}
				tok := token{action: c.Action}
				for _, p := range c.Pred {
					tok.pred = append(tok.pred, names[p])
				}
				got = append(got, tok)
			}
		}
		// In the order in which they came to be, which is that of the graph.
		edgeFirst := edge.seen.next(t)
		names[edgeFirst.Claims().TaskID] = "edge calls"
		wid = edgeFirst.Claims().Workflow
		m1 := middle.seen.next(t)
		names[m1.Claims().TaskID] = "middle calls 1"
		collect(leaf, "leaf 1")
		m2 := middle.seen.next(t)
		names[m2.Claims().TaskID] = "middle calls 2"
		collect(leaf, "leaf 2")
		collect(middle, "middle")
		collect(edge, "edge")
		for _, i := range []*core.Issued{edgeFirst, m1, m2} {
			tok := token{action: i.Claims().Action}
			for _, p := range i.Claims().Pred {
				tok.pred = append(tok.pred, names[p])
			}
			got = append(got, tok)
		}
		want := []token{
			{"POST /pages/{page}", []string{"middle calls 1"}},
			{"GET /pages/{page}", []string{"middle calls 2"}},
			{"POST /v1/bills/{id}", []string{"edge calls", "leaf 2"}},
			{"POST /orders/{id}", []string{"middle"}},
			{"dispatch", nil},
			{"dispatch", []string{"edge calls"}},
			{"dispatch", []string{"leaf 1"}},
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(token{})); diff != "" {
			t.Errorf("the graph (-want +got):\n%s", diff)
		}
		for _, n := range []*node{edge, middle, leaf} {
			n.seen.none(t)
			if got := n.seen.codes(&n.seen.rejected); slices.ContainsFunc(got, func(c core.Code) bool { return c != core.CodeRequired }) {
				t.Errorf("%s refused %v", n.agent.Identity, got)
			}
		}
	})
}

// TestBranchesConcurrentSafe: calls made side by side become branches, and what follows joins them.
func TestBranchesConcurrentSafe(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		const calls = 8
		d := ecttest.NewDomain()
		front, back := newNode(t, d, "front", proto), newNode(t, d, "back", proto)
		front.tell(t, d, nil, []*node{back})
		back.tell(t, d, []*node{front}, nil)
		back.router.Use(httpect.Middleware(back.service))
		// Nobody is answered before all have called, so that no call comes after another.
		var all sync.WaitGroup
		all.Add(calls)
		back.router.Get("/all/{n}", func(w http.ResponseWriter, r *http.Request) {
			all.Done()
			all.Wait()
			fmt.Fprint(w, chi.URLParam(r, "n"))
		})
		back.router.Get("/after", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "after") })
		front.router.Use(httpect.Middleware(front.service, httpect.WithMode(httpect.Optional)))
		front.router.Get("/", func(_ http.ResponseWriter, r *http.Request) {
			var wg sync.WaitGroup
			for n := range calls {
				wg.Go(func() {
					if got := front.ask(r.Context(), t, "GET", fmt.Sprintf("%s/all/%d", back.site.URL, n), ""); got != fmt.Sprint(n) {
						t.Errorf("call %d answered %q", n, got)
					}
				})
			}
			wg.Wait()
			front.ask(r.Context(), t, "GET", back.site.URL+"/after", "")
		})
		if r := front.site.send(t, "GET", "/", nil); r.StatusCode != 200 {
			t.Fatalf("%v", r)
		}
		var answers []string
		for range calls {
			if c := front.seen.next(t).Claims(); len(c.Pred) != 0 {
				t.Errorf("a call made beside others has pred %v", c.Pred)
			}
			answers = append(answers, back.seen.next(t).Claims().TaskID.String())
		}
		after := front.seen.next(t).Claims()
		var joined []string
		for _, p := range after.Pred {
			joined = append(joined, p.String())
		}
		slices.Sort(answers)
		slices.Sort(joined)
		if diff := cmp.Diff(answers, joined); diff != "" {
			t.Errorf("what follows the branches has pred (-want +got):\n%s", diff)
		}
		onlyPred(t, front.seen.next(t).Claims(), back.seen.next(t).Claims().TaskID, "the last answer")
	})
}

// TestServerConcurrentSafe: requests of many clients at once do not mix.
func TestServerConcurrentSafe(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		w := newWorld(t)
		r := chi.NewRouter()
		r.Use(httpect.Middleware(w.service, httpect.WithResponseBuffer(100)))
		r.Post("/echo/{n}", func(rw http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			rw.Write(b) //nolint:errcheck // the client looks
		})
		s := serve(t, proto, r)
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				for k := range 10 {
					body := bytes.Repeat([]byte{byte('a' + n)}, 1+k*1000)
					head := w.headOver(t, body)
					got, err := s.do(newRequest(t, "POST", fmt.Sprintf("%s/echo/%d", s.URL, n), bytes.NewReader(body), head))
					if err != nil || got.err != nil || !bytes.Equal(got.body, body) {
						t.Errorf("%v, %v", got, err)
						continue
					}
					tokens := got.tokens()
					if len(tokens) != 1 {
						t.Errorf("%d tokens came", len(tokens))
						continue
					}
					c := parse(t, tokens[0]).ClaimsWithoutVerification()
					if c.InpHash != hashOf(body) || c.OutHash != hashOf(body) || c.Pred[0] != parse(t, head).ClaimsWithoutVerification().TaskID {
						t.Errorf("the answer belongs to another request")
					}
				}
			})
		}
		wg.Wait()
	})
}

// TestReplayConcurrentSafe: of many that present one token at once, one gets through.
func TestReplayConcurrentSafe(t *testing.T) {
	w := newWorld(t)
	s := serve(t, http2, httpect.Middleware(w.service)(writes(10)))
	head := w.head(t)
	var wg sync.WaitGroup
	statuses := make([]int, 20)
	for n := range statuses {
		wg.Go(func() {
			r, err := s.do(newRequest(t, "GET", s.URL, nil, head))
			if err != nil {
				t.Error(err)
				return
			}
			statuses[n] = r.StatusCode
		})
	}
	wg.Wait()
	slices.Sort(statuses)
	if statuses[0] != 200 || statuses[1] != 403 || statuses[len(statuses)-1] != 403 {
		t.Errorf("statuses = %v, want one 200", statuses)
	}
}
