// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/internal/demo"
)

// patience is how long a test waits for what must happen before it says that it hangs.
const patience = 20 * time.Second

// joined returns a chain whose services do not serve yet.
func joined(t *testing.T, changes ...func(*chain)) *chain {
	t.Helper()
	c, err := newChain(t.Context(), &demo.Telemetry{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	for _, change := range changes {
		change(c)
	}
	if err := c.join(); err != nil {
		t.Fatal(err)
	}
	return c
}

// started returns a chain that serves.
func started(t *testing.T, changes ...func(*chain)) *chain {
	t.Helper()
	c := joined(t, changes...)
	c.start()
	return c
}

// everybody changes the policy of all parties.
func everybody(change func(*core.Policy)) func(*chain) {
	return func(c *chain) {
		for _, p := range c.parties() {
			change(&p.policy)
		}
	}
}

// ending is how a task ended.
type ending struct {
	outcome core.Outcome
	status  int
}

// endings returns how each task ended.
func endings(c *chain, tokens []*core.Issued) map[string]ending {
	g, all := c.graph(tokens), map[string]ending{}
	for _, i := range tokens {
		if e := i.Claims().Ext; i.Claims().Action != "dispatch" {
			all[g.Label(i)] = ending{e.Outcome, e.Status}
		}
	}
	return all
}

// TestGoodRuns: under every policy, the one workflow has its one shape, and each body is the
// one that was sent, whatever carried it.
func TestGoodRuns(t *testing.T) {
	tests := []struct {
		name   string
		change func(*chain)
		signed bool
	}{
		{"context and RejectMissing", func(*chain) {}, true},
		{"AllowPartial without context", func(c *chain) {
			for _, p := range c.parties() {
				p.policy.Missing, p.context = core.AllowPartial, 0
			}
		}, true},
		{"BodyRequire", everybody(func(p *core.Policy) { p.Body = core.BodyRequire }), true},
		{"BodyIgnore", everybody(func(p *core.Policy) { p.Body = core.BodyIgnore }), true},
		{"two generations of context", func(c *chain) {
			for _, p := range c.parties() {
				p.context = 2
			}
		}, true},
		{"a minimum for the chain", everybody(func(p *core.Policy) { p.MinChainLevel = core.L2 }), true},
		{"L1", everybody(func(p *core.Policy) { p.MinLevel = core.L1 }), false},
		{"L1 and BodyRequire", everybody(func(p *core.Policy) { p.MinLevel, p.Body = core.L1, core.BodyRequire }), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := started(t, tt.change)
			v, err := c.deploy(t.Context(), release{Service: "billing"})
			if err != nil || v.Decision != core.Approved {
				t.Fatalf("deploy = %v, %v", v, err)
			}
			tokens := c.tokens()
			g := c.graph(tokens)
			if err := shape(g, tokens, approved); err != nil {
				t.Error(err)
			}
			if err := g.Check(); (err == nil) != tt.signed {
				t.Errorf("Check: %v, want an error where nothing is signed", err)
			}
			// What each call carried is what came in at the other end, and nothing was lost.
			for _, pair := range [][2]int{{1, 6}, {2, 5}, {3, 4}} {
				sent, came := tokens[pair[0]-1].Claims().OutHash, tokens[pair[1]-1].Claims()
				if !sent.Present || sent != came.InpHash || !came.OutHash.Present {
					t.Errorf("tokens %v: sent %v, came %v, answered %v", pair, sent, came.InpHash, came.OutHash)
				}
			}
			want := map[string]ending{
				"billing: GET /status": {core.OutcomeOK, 200}, "health: grpc.health.v1.Health/Check": {core.OutcomeOK, 0},
				"gate: POST /releases": {core.OutcomeOK, 200}, "deployer: deploy": {core.OutcomeOK, 0},
			}
			if diff := cmp.Diff(want, endings(c, tokens), cmp.AllowUnexported(ending{})); diff != "" {
				t.Errorf("endings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFailures: what fails, at whatever hop, is in the graph as what it was, and the hops
// before it go on by their own transport's rules.
func TestFailures(t *testing.T) {
	const check, post, deploy = "health: grpc.health.v1.Health/Check", "gate: POST /releases", "deployer: deploy"
	unhealthy := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) }
	down := func(w http.ResponseWriter, _ *http.Request) { reply(w, state{}) }
	tests := []struct {
		name    string
		change  func(*chain)
		service string
		health  healthpb.HealthServer
		billing http.HandlerFunc
		// says is in the error of the deployer; "" where it gets the verdict of the gate.
		says string
		want []place
		ends map[string]ending
	}{
		{
			name: "the gRPC hop says no", service: "shipping", says: "404",
			want: []place{
				{"deployer calls gate", nil}, {"gate calls health", []int{1}},
				{check, []int{2}}, {post, []int{1, 3}}, {deploy, []int{4}},
			},
			ends: map[string]ending{ // asking for what there is not is no failure of who says so
				check: {core.OutcomeOK, int(codes.NotFound)}, post: {core.OutcomeOK, 404}, deploy: {core.OutcomeError, 0},
			},
		},
		{
			name: "the gRPC hop fails", health: broken{}, says: "502",
			want: []place{
				{"deployer calls gate", nil}, {"gate calls health", []int{1}},
				{check, []int{2}}, {post, []int{1, 3}}, {deploy, []int{4}},
			},
			ends: map[string]ending{
				check: {core.OutcomeError, int(codes.DataLoss)}, post: {core.OutcomeError, 502}, deploy: {core.OutcomeError, 0},
			},
		},
		{
			name: "the gRPC hop refuses", change: func(c *chain) { c.health.context = 0 }, says: "502",
			want: []place{
				{"deployer calls gate", nil}, {"gate calls health", []int{1}}, {post, []int{1, 2}}, {deploy, []int{3}},
			},
			ends: map[string]ending{post: {core.OutcomeError, 502}, deploy: {core.OutcomeError, 0}},
		},
		{
			name: "the last HTTP hop refuses", change: func(c *chain) { c.billing.context = 0 }, says: "502",
			want: []place{
				{"deployer calls gate", nil}, {"gate calls health", []int{1}}, {"health calls billing", []int{2}},
				{check, []int{2, 3}}, {post, []int{1, 4}}, {deploy, []int{5}},
			},
			ends: map[string]ending{
				check: {core.OutcomeError, int(codes.Unavailable)}, post: {core.OutcomeError, 502}, deploy: {core.OutcomeError, 0},
			},
		},
		{
			name: "the last HTTP hop fails", billing: unhealthy, says: "502",
			want: approved,
			ends: map[string]ending{
				"billing: GET /status": {core.OutcomeError, 500},
				check:                  {core.OutcomeError, int(codes.Unavailable)}, post: {core.OutcomeError, 502}, deploy: {core.OutcomeError, 0},
			},
		},
		{
			name: "the last HTTP hop is not well", billing: down, want: approved,
			ends: map[string]ending{
				"billing: GET /status": {core.OutcomeOK, 200},
				check:                  {core.OutcomeOK, 0}, post: {core.OutcomeOK, 200}, deploy: {core.OutcomeOK, 0},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := joined(t, func(c *chain) {
				if tt.change != nil {
					tt.change(c)
				}
			})
			h, b := tt.health, tt.billing
			if h == nil {
				h = &checker{chain: c}
			}
			if b == nil {
				b = ready
			}
			c.gate.serve(routes(c.gate, http.MethodPost, "/releases", c.release))
			c.health.serveGRPC(checks(c.health, h))
			c.billing.serve(routes(c.billing, http.MethodGet, "/status", b))

			service := "billing"
			if tt.service != "" {
				service = tt.service
			}
			v, err := c.deploy(t.Context(), release{Service: service})
			switch {
			case tt.says == "" && (err != nil || v.Decision != core.Rejected):
				t.Errorf("deploy = %v, %v, want a rejection", v, err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("deploy: %v, want %q in the error", err, tt.says)
			}
			tokens := c.tokens()
			g := c.graph(tokens)
			if err := shape(g, tokens, tt.want); err != nil {
				t.Error(err)
			}
			if err := g.Check(); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.ends, endings(c, tokens), cmp.AllowUnexported(ending{})); diff != "" {
				t.Errorf("endings (-want +got):\n%s", diff)
			}
		})
	}
}

// broken is a health service that lost what it knew.
type broken struct {
	healthpb.UnimplementedHealthServer
}

func (broken) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return nil, status.Error(codes.DataLoss, "all is lost")
}

// TestCancelled: a deployer that leaves while the last hop is at work cancels every hop, and
// each says so in its record.
func TestCancelled(t *testing.T) {
	reached, recorded := make(chan struct{}), make(chan struct{})
	var tasks atomic.Int32
	c := joined(t, func(c *chain) {
		for _, p := range c.parties() { // told after the chain itself
			p.watch(core.Observer{Issued: func(_ context.Context, i *core.Issued) {
				if i.Claims().Action != "dispatch" && tasks.Add(1) == 4 {
					close(recorded)
				}
			}})
		}
	})
	c.gate.serve(routes(c.gate, http.MethodPost, "/releases", c.release))
	c.health.serveGRPC(checks(c.health, &checker{chain: c}))
	c.billing.serve(routes(c.billing, http.MethodGet, "/status", func(w http.ResponseWriter, r *http.Request) {
		close(reached)
		<-r.Context().Done()
		http.Error(w, "nobody waits", http.StatusServiceUnavailable)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	left := make(chan error, 1)
	go func() {
		_, err := c.deploy(ctx, release{Service: "billing"})
		left <- err
	}()
	wait(t, reached)
	cancel()
	if err := <-left; err == nil {
		t.Error("deploy: no error")
	}
	wait(t, recorded)

	tokens := c.tokens()
	g := c.graph(tokens)
	if err := g.Check(); err != nil {
		t.Error(err)
	}
	// In which order four hops learn of it is theirs; what each comes after is not.
	after := map[string][]string{}
	for _, i := range tokens {
		_, nums, err := g.Find(g.Label(i))
		if err != nil {
			t.Fatal(err)
		}
		after[g.Label(i)] = []string{}
		for _, n := range nums {
			after[g.Label(i)] = append(after[g.Label(i)], g.Label(tokens[n-1]))
		}
		if i.Claims().Workflow != tokens[0].Claims().Workflow {
			t.Errorf("%q is of another workflow", g.Label(i))
		}
	}
	want := map[string][]string{
		"deployer calls gate":                 {},
		"gate calls health":                   {"deployer calls gate"},
		"health calls billing":                {"gate calls health"},
		"billing: GET /status":                {"health calls billing"},
		"health: grpc.health.v1.Health/Check": {"gate calls health", "health calls billing"},
		"gate: POST /releases":                {"deployer calls gate", "gate calls health"},
		"deployer: deploy":                    {"deployer calls gate"},
	}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("edges (-want +got):\n%s", diff)
	}
	for label, e := range endings(c, tokens) {
		if e.outcome != core.OutcomeCancelled {
			t.Errorf("%s ended %v", label, e)
		}
	}
}

// wait waits for what must happen.
func wait(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("it hangs")
	}
}

// TestDeployConcurrentSafe: workflows side by side through the same services do not mix.
func TestDeployConcurrentSafe(t *testing.T) {
	c := started(t)
	const runs = 8
	var all sync.WaitGroup
	errs := make([]error, runs)
	for n := range runs {
		all.Go(func() { _, errs[n] = c.deploy(t.Context(), release{Service: "billing", Version: fmt.Sprint(n)}) })
	}
	all.Wait()
	for n, err := range errs {
		if err != nil {
			t.Errorf("run %d: %v", n, err)
		}
	}
	flows := map[core.Workflow][]*core.Issued{}
	for _, i := range c.tokens() {
		w := i.Claims().Workflow
		flows[w] = append(flows[w], i)
	}
	if len(flows) != runs {
		t.Errorf("%d workflows, want %d", len(flows), runs)
	}
	for _, tokens := range flows {
		g := c.graph(tokens)
		if err := g.Check(); err != nil {
			t.Error(err)
		}
		if err := shape(g, tokens, approved); err != nil {
			t.Error(err)
		}
	}
}
