// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/internal/jaegertest"
	"github.com/go-ect/ect/otelbridge"
)

// Exported runs an example's demonstration under a policy, with its traces going to Jaeger. It
// returns the tokens that were issued, what was printed and what Jaeger has of it.
type Exported func(t *testing.T, p otelbridge.Policy) ([]*core.Issued, string, *View)

// Shows has Jaeger find every task of an example, what each came after, and what was refused.
// Of the tokens, fanIns have several predecessors, or more do.
func Shows(t *testing.T, exported Exported, fanIns int) {
	t.Helper()
	for _, tt := range []struct {
		name    string
		policy  otelbridge.Policy
		carried bool // tokens carry their span contexts
	}{
		{"tasks", otelbridge.ShowTasks(), false},
		{"everything", otelbridge.ShowEverything(), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tokens, printed, seen := exported(t, tt.policy)
			if n := seen.Found(t, Issued(tokens)); n != len(tokens) {
				t.Errorf("%d of %d tasks are found", n, len(tokens))
			}
			if n := seen.FanIns(t, tokens, tt.carried); n < fanIns {
				t.Errorf("%d tokens have predecessors in the plural, want %d", n, fanIns)
			}
			seen.OneTrace(t, tokens)
			seen.Refusals(t, printed)
		})
	}
}

// ShowsNothing has Jaeger tell that requests were refused and why, and of no task.
func ShowsNothing(t *testing.T, exported Exported) {
	t.Helper()
	tokens, printed, seen := exported(t, otelbridge.ShowNothing())
	if n := seen.Found(t, Issued(tokens)); n != 0 {
		t.Errorf("%d of %d tasks are found", n, len(tokens))
	}
	seen.Refusals(t, printed)
}

// Run is what an example's command does.
type Run func(ctx context.Context, args []string, stdout, stderr io.Writer) error

// Correlates has Jaeger show of tokens what -correlation says.
func Correlates(t *testing.T, run Run) {
	t.Helper()
	var every []attribute.Key
	for _, a := range otelbridge.Attributes() {
		if a.Claim != 0 {
			every = append(every, a.Key)
		}
	}
	for _, tt := range []struct {
		name string
		args []string
		want []attribute.Key
	}{
		{"tasks if nothing is said", nil, []attribute.Key{otelbridge.AttrTaskID, otelbridge.AttrWorkflowID}},
		{"nothing", []string{"-correlation", "nothing"}, nil},
		{"everything", []string{"-correlation", "everything"}, every},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := jaegertest.Start(t)
			t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", j.OTLPHTTP()+"/v1/traces")
			var out bytes.Buffer
			if err := run(t.Context(), tt.args, &out, t.Output()); err != nil {
				t.Fatalf("run: %v\n%s", err, &out)
			}
			seen, tasks := Of(t, j), Printed(out.String())
			if diff := cmp.Diff(tt.want, seen.Claims()); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			due := 0
			if tt.want != nil {
				due = len(tasks)
			}
			if n := seen.Found(t, tasks); n != due || len(tasks) == 0 {
				t.Errorf("%d tasks of %d that were printed are found, want %d", n, len(tasks), due)
			}
		})
	}
}

// FailsUndelivered fails a run whose traces nobody takes, when all else was as it should be. The
// service is one whose spans are lost.
func FailsUndelivered(t *testing.T, run Run, service string) {
	t.Helper()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", gone.URL)
	var out bytes.Buffer
	err := run(t.Context(), nil, &out, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "spans of "+service+" were not delivered") {
		t.Errorf("run = %v", err)
	}
	if !strings.Contains(out.String(), "All as it should be.") {
		t.Errorf("the run itself:\n%s", &out)
	}
}
