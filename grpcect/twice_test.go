// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestDialedTwice: a connection that has the interceptors twice, as one may that is made with
// options of one's own beside a team's, makes calls with one dispatch each.
func TestDialedTwice(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			w.dialOptions = grpcect.DialOptions(w.from.service, grpcect.WithAudience(w.to.agent.Identity))
			cc := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
			ctx, task := w.task(t)
			var answer *core.Received
			if err := k.call(ctx, cc, grpcect.Answer(&answer)); err != nil || answer == nil {
				t.Errorf("the call = %v, answered %t", err, answer != nil)
			}
			if n := len(w.from.seen.tokens()); n != 1 {
				t.Errorf("%d dispatches, want 1", n)
			}
			w.after(ctx, t, task, w.to.seen.last(t).TaskID)
		})
	}
}
