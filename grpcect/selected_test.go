// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/selector"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
)

// TestSelected: interceptors for all methods, and further in others for some of them, as
// go-grpc-middleware's selector chooses, that enforce what is only observed further out, or
// ask for a higher level. The others go on as if there were one alone.
func TestSelected(t *testing.T) {
	for outer, m := range map[string]core.Mode{"observe": core.Observe, "optional": core.Optional, "enforce": core.Enforce} {
		for n, k := range kinds {
			for _, chosen := range []bool{true, false} {
				for name, c := range map[string]struct {
					token func(*world) []string
					// code is why the chosen method refuses it.
					code core.Code
				}{
					"none":      {func(*world) []string { return nil }, core.CodeRequired},
					"low":       {func(w *world) []string { return []string{w.unsigned(t)} }, core.CodeLevel},
					"high":      {func(w *world) []string { return []string{w.head(t)} }, 0},
					"malformed": {func(w *world) []string { return []string{w.head(t) + "."} }, core.CodeMalformed},
				} {
					t.Run(fmt.Sprintf("%s/%s/chosen %t/%s", outer, k.name, chosen, name), func(t *testing.T) {
						verified := 0
						w := newWorld(t, acceptL1, func(w *world) {
							w.to.options = append(w.to.options, core.WithObserver(core.Observer{Verified: func(context.Context, *core.Received, core.VerifyInfo) { verified++ }}))
						})
						method := methods[n]
						if !chosen {
							method = methods[(n+1)%len(methods)]
						}
						w.chain(mode(m), func(hook *grpcect.Codec) []between {
							inner := mounted(w.to.service, hook, grpcect.WithMinLevel(core.L2))
							match := selector.MatchFunc(func(_ context.Context, c interceptors.CallMeta) bool { return c.FullMethod() == method })
							return []between{{selector.UnaryServerInterceptor(inner.unary, match), selector.StreamServerInterceptor(inner.stream, match)}}
						})
						called := 0
						cc := w.bare(t, hooked(talk(), func(context.Context) error { called++; return nil }))
						tokens := c.token(w)
						o := present(t, cc, k.call, tokens...)

						good := c.code == 0 || c.code == core.CodeLevel
						refused := chosen && c.code != 0 || c.code == core.CodeRequired && m == core.Enforce || c.code == core.CodeMalformed && m != core.Observe
						if refused {
							o.refused(t, c.code)
							if called > 0 || len(w.to.seen.tokens()) > 0 || !slices.Contains(w.to.seen.codes(), c.code) {
								t.Errorf("called %d times, %d tokens issued, reported %v", called, len(w.to.seen.tokens()), w.to.seen.codes())
							}
							return
						}
						if o.err != nil || called != 1 {
							t.Fatalf("%v, called %d times", o.err, called)
						}
						want := 0
						if good {
							want = 1
							w.answer(t, o)
						}
						if chosen && m == core.Observe {
							want = 2 // and claimed at the second look
						}
						if verified != want {
							t.Errorf("verified %d times, want %d", verified, want)
						}
						records := 1
						if !good && m == core.Optional { // nobody asked for one
							records = 0
						}
						if n := len(w.to.seen.tokens()); n != records {
							t.Errorf("%d tokens were issued, want %d", n, records)
						}
						if !good {
							return
						}
						if again := present(t, cc, k.call, tokens...); m != core.Observe || chosen {
							again.refused(t, core.CodeReplayed)
						} else if again.err != nil {
							t.Errorf("the same again where nothing is claimed: %v", again.err)
						}
					})
				}
			}
		}
	}
}
