// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
)

// TestRefusedAndDoneInstead: something in between is refused further in, does the work in
// another way, and fails at that. The work may have been done: the call is recorded, and its
// token spent, unless what the call ends with is the refusal.
func TestRefusedAndDoneInstead(t *testing.T) {
	refused := func(closed func() error) error {
		err := closed()
		if class, ok := grpcect.RefusedAs(err); !ok || class != core.ClassRejected {
			panic(err)
		}
		return err
	}
	for name, c := range map[string]struct {
		ask  func(closed func() error) error
		back bool
	}{
		"another error": {func(closed func() error) error {
			refused(closed)
			return status.Error(codes.Unavailable, "the other way failed")
		}, false},
		"the refusal":            {refused, true},
		"the refusal, explained": {func(closed func() error) error { return errors.Join(errors.New("not here"), refused(closed)) }, true},
	} {
		for _, k := range kinds {
			t.Run(name+"/"+k.name, func(t *testing.T) {
				w := newWorld(t, acceptL1)
				b := &batch{ask: func(_ context.Context, _, closed func() error) error { return c.ask(closed) }}
				w.batched(b)
				cc, low := w.bare(t, talk()), w.unsigned(t)
				if o := present(t, cc, k.call, low); o.err == nil {
					t.Fatal("the call went through")
				}
				issued := len(w.to.seen.tokens())
				o := present(t, cc, k.call, low)
				if c.back {
					if issued > 0 {
						t.Errorf("issued %d tokens", issued)
					}
					if class, _ := grpcect.RefusedAs(o.err); class != core.ClassRejected {
						t.Errorf("the same token = %v", o.err)
					}
					return
				}
				if issued != 1 {
					t.Errorf("issued %d tokens", issued)
				}
				o.refused(t, core.CodeReplayed)
			})
		}
	}
}
