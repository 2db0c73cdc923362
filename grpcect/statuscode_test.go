// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"math"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
)

// TestAnyStatusIsRecorded: a handler may pass on what a peer of its own made up. The call ends
// with it, and is recorded whatever the number: one that no record can hold as Unknown, which
// is what gRPC takes it for.
func TestAnyStatusIsRecorded(t *testing.T) {
	for _, c := range []struct {
		code    codes.Code
		status  int
		outcome core.Outcome
	}{
		{codes.Unauthenticated, int(codes.Unauthenticated), core.OutcomeOK},
		{codes.Unauthenticated + 1, int(codes.Unauthenticated) + 1, core.OutcomeOK},
		{math.MaxUint16, math.MaxUint16, core.OutcomeOK},
		{math.MaxUint16 + 1, int(codes.Unknown), core.OutcomeError},
		{math.MaxInt32, int(codes.Unknown), core.OutcomeError},
		{math.MaxUint32, int(codes.Unknown), core.OutcomeError},
	} {
		for _, k := range kinds {
			t.Run(k.name+" "+c.code.String(), func(t *testing.T) {
				w := newWorld(t)
				o := present(t, w.bare(t, hooked(talk(), func(context.Context) error { return status.Error(c.code, "odd") })), k.call, w.head(t))
				if code := c.code; code <= math.MaxInt32 && status.Code(o.err) != code {
					t.Errorf("the call = %v, want %v", o.err, code)
				}
				if got := w.to.seen.codes(); len(got) > 0 {
					t.Fatalf("observers were told of %v", got)
				}
				if r := w.to.seen.last(t); r.Ext.Status != c.status || r.Ext.Outcome != c.outcome {
					t.Errorf("recorded %v, %v; want %v, %v", r.Ext.Status, r.Ext.Outcome, c.status, c.outcome)
				}
			})
		}
	}
}
