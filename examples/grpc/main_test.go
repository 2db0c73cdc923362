// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/grpc/examplepb"
	"github.com/go-ect/ect/examples/internal/demo"
)

func TestDemonstration(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), nil, &out, io.Discard); err != nil {
		t.Fatalf("run: %v\n%s", err, &out)
	}
	for _, want := range []string{
		"Plan: 13 pallets from Rotterdam", "orders/v2: approved", "flowchart TD", "stand apart and meet in the plan",
		"ECT_REPLAYED", "ECT_REQUIRED", "ECT_MALFORMED", "All as it should be.",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, &out)
		}
	}
}

func TestOtherDays(t *testing.T) {
	tests := []struct{ name, days, want string }{
		{"the stock lasts", "1", "Decision: approved (the stock lasts)"},
		{"over the budget", "31", "Decision: pending_human_review (over the budget)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(t.Context(), []string{"-days", tt.days}, &out, io.Discard); err != nil {
				t.Fatalf("run: %v\n%s", err, &out)
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("the output lacks %q:\n%s", tt.want, &out)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte(`{"https://a.example": {"keys": []}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
	}{
		{"an argument too many", []string{"x"}},
		{"no such flag", []string{"-x"}},
		{"no such correlation", []string{"-correlation", "all"}},
		{"no day", []string{"-days", "0"}},
		{"a day too many", []string{"-days", "32"}},
		{"serve nowhere", []string{"-serve", "", "-trust", bad, "-audience", "https://a.example"}},
		{"serve and days", []string{"-serve", "127.0.0.1:0", "-trust", bad, "-audience", "https://a.example", "-days", "7"}},
		{"trust without serve", []string{"-trust", bad}},
		{"serve without trust", []string{"-serve", "127.0.0.1:0", "-audience", "https://a.example"}},
		{"serve without audience", []string{"-serve", "127.0.0.1:0", "-trust", bad}},
		{"no such level", []string{"-serve", "127.0.0.1:0", "-trust", bad, "-audience", "https://a.example", "-min-level", "L3"}},
		{"no key to trust", []string{"-serve", "127.0.0.1:0", "-trust", bad, "-audience", "https://a.example"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := run(t.Context(), tt.args, io.Discard, io.Discard); err == nil {
				t.Error("no error")
			}
		})
	}
}

// TestFailedOrder orders what a tool refuses: the record is whole all the same.
func TestFailedOrder(t *testing.T) {
	tests := []struct {
		name string
		req  *examplepb.PlanRequest
		want codes.Code
		// tokens is how many are issued.
		tokens int
	}{
		{"no such product", &examplepb.PlanRequest{Product: "hay", Destination: "Hamburg", Days: 7}, codes.NotFound, 7},
		{"no such way", &examplepb.PlanRequest{Product: "batteries", Destination: "Oslo", Days: 7}, codes.NotFound, 7},
		{"no such time", &examplepb.PlanRequest{Product: "batteries", Destination: "Munich", Days: maxDays + 1}, codes.InvalidArgument, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := newChain(t.Context(), &demo.Telemetry{})
			if err != nil {
				t.Fatal(err)
			}
			plan, _, err := c.order(t.Context(), tt.req)
			if status.Code(err) != tt.want {
				t.Errorf("order = %v, %v, want %v", plan, err, tt.want)
			}
			if err := c.close(); err != nil {
				t.Error(err)
			}
			tokens := c.tokens()
			if len(tokens) != tt.tokens {
				t.Errorf("%d tokens were issued, want %d", len(tokens), tt.tokens)
			}
			if err := demo.NewGraph(c.parties(), tokens).Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	quotes := []*examplepb.QuoteResponse{
		{Origin: "slow", Days: 4, CentsPerPallet: 1_000},
		{Origin: "fast", Days: 1, CentsPerPallet: 30_000},
		{Origin: "fair", Days: 2, CentsPerPallet: 20_000},
	}
	plan := func(pallets uint32, origin string, day uint32, cost uint64, d core.Decision, reason string) *examplepb.PlanResponse {
		return &examplepb.PlanResponse{Pallets: pallets, Origin: origin, ArrivalDay: day, CostCents: cost, Decision: string(d), Reason: reason}
	}
	tests := []struct {
		name  string
		stock uint32
		units []uint32
		want  *examplepb.PlanResponse
	}{
		{"the stock lasts", 30, []uint32{10, 10, 10}, plan(0, "", 0, 0, core.Approved, "the stock lasts")},
		{"it lacks one", 29, []uint32{10, 10, 10}, plan(1, "fair", 2, 20_000, core.Approved, "within the budget")},
		{"it lacks a pallet", 12, []uint32{10, 50}, plan(1, "fast", 1, 30_000, core.Approved, "within the budget")},
		{"it lacks a pallet and one", 11, []uint32{10, 50}, plan(2, "fast", 1, 60_000, core.Approved, "within the budget")},
		{"it lasts for long", 40, []uint32{10, 10, 10, 10, 10}, plan(1, "slow", 4, 1_000, core.Approved, "within the budget")},
		{"as much as the budget", 10, []uint32{10, 5 * 48}, plan(5, "fast", 1, budget, core.Approved, "within the budget")},
		{"more than the budget", 10, []uint32{10, 5*48 + 1}, plan(6, "fast", 1, 180_000, core.PendingHumanReview, "over the budget")},
		{"nothing is left", 0, []uint32{10}, plan(1, "fast", 1, 30_000, core.PendingHumanReview, "nothing arrives in time")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, choose(tt.stock, tt.units, quotes), protocmp.Transform()); diff != "" {
				t.Errorf("choose(%d, %v) (-want +got):\n%s", tt.stock, tt.units, diff)
			}
		})
	}
}

func trustFile(t *testing.T, sets any) string {
	t.Helper()
	data, err := json.Marshal(sets)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "trust.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// audience is who a service is that start runs.
const audience = "https://service.example/tasks"

// start runs -serve on a free port and returns where it listens.
func start(t *testing.T, trust string, args ...string) (addr string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, append([]string{"-serve", "127.0.0.1:0", "-trust", trust, "-audience", audience}, args...), w, io.Discard)
		w.Close()
	}()
	line := make([]byte, 256)
	n, err := r.Read(line)
	if err != nil {
		cancel()
		t.Fatalf("serve: %v, %v", err, <-ended)
	}
	addr = strings.TrimSpace(strings.TrimPrefix(string(line[:n]), "listening on "))
	return addr, func() error { cancel(); return <-ended }
}
