// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
)

// between is what stands in the chain of a server between two interceptors, or further in.
type between struct {
	unary  grpc.UnaryServerInterceptor
	stream grpc.StreamServerInterceptor
}

// mounted returns the interceptors of a service for the place in a chain.
func mounted(s *core.Service, hook *grpcect.Codec, opts ...grpcect.Option) between {
	return between{grpcect.UnaryServerInterceptor(s, hook, opts...), grpcect.StreamServerInterceptor(s, hook, opts...)}
}

// chain wires a server whose interceptors furthest out have the options given, with others
// further in that have the same hook.
func (w *world) chain(outer []grpcect.Option, inner func(hook *grpcect.Codec) []between) {
	hook := given()
	w.server = append(slices.Clip(outer), grpcect.WithCodec(hook))
	for _, b := range inner(hook) {
		w.serverOptions = append(w.serverOptions, grpc.ChainUnaryInterceptor(b.unary), grpc.ChainStreamInterceptor(b.stream))
	}
}

// mount wires a server on which the interceptors are mounted several times, the first
// furthest out.
func (w *world) mount(mounts ...[]grpcect.Option) {
	w.chain(mounts[0], func(hook *grpcect.Codec) (all []between) {
		for _, m := range mounts[1:] {
			all = append(all, mounted(w.to.service, hook, m...))
		}
		return all
	})
}

func mode(m core.Mode, more ...grpcect.Option) []grpcect.Option {
	return append([]grpcect.Option{grpcect.WithMode(m)}, more...)
}

// TestMountedTwice: interceptors further in only raise requirements; nothing is verified or
// claimed twice, and a refusal gives back what was claimed (profile 9.10).
func TestMountedTwice(t *testing.T) {
	enforce, optional, observe := mode(core.Enforce), mode(core.Optional), mode(core.Observe)
	raised := mode(core.Enforce, grpcect.WithMinLevel(core.L2))
	none := func(*testing.T, *world) []string { return nil }
	good := func(t *testing.T, w *world) []string { return []string{w.head(t)} }
	low := func(t *testing.T, w *world) []string { return []string{w.unsigned(t)} }
	bad := func(t *testing.T, w *world) []string { return []string{w.head(t) + "."} }
	for _, c := range []struct {
		name   string
		mounts [][]grpcect.Option
		tokens func(*testing.T, *world) []string
		// code is why it is refused, 0 if it is not.
		code core.Code
		// root tells that the task has no head; replayed that the token is spent.
		root, replayed bool
		// reported is what observers were told, beside the refusal.
		reported []core.Code
	}{
		{name: "twice the same", mounts: [][]grpcect.Option{enforce, enforce}, tokens: good, replayed: true},
		{name: "three times", mounts: [][]grpcect.Option{enforce, enforce, raised}, tokens: good, replayed: true},
		{name: "optional, enforce, none", mounts: [][]grpcect.Option{optional, enforce}, tokens: none, code: core.CodeRequired},
		{name: "optional, enforce, good", mounts: [][]grpcect.Option{optional, enforce}, tokens: good, replayed: true},
		{name: "optional, enforce, bad", mounts: [][]grpcect.Option{optional, enforce}, tokens: bad, code: core.CodeMalformed},
		{name: "optional, optional, none", mounts: [][]grpcect.Option{optional, optional}, tokens: none, root: true},
		{name: "optional, observe, none", mounts: [][]grpcect.Option{optional, observe}, tokens: none, root: true, reported: []core.Code{core.CodeRequired}},
		{name: "enforce, optional, none", mounts: [][]grpcect.Option{enforce, optional}, tokens: none, code: core.CodeRequired},
		{name: "enforce, observe, bad", mounts: [][]grpcect.Option{enforce, observe}, tokens: bad, code: core.CodeMalformed},
		{name: "raised optional, L1", mounts: [][]grpcect.Option{optional, mode(core.Optional, grpcect.WithMinLevel(core.L2))}, tokens: low, code: core.CodeLevel},
		{name: "raised observe, L1", mounts: [][]grpcect.Option{enforce, mode(core.Observe, grpcect.WithMinLevel(core.L2))}, tokens: low, replayed: true, reported: []core.Code{core.CodeLevel}},
		{name: "raised outside, L1", mounts: [][]grpcect.Option{raised, enforce}, tokens: low, code: core.CodeLevel},
		{name: "raised in the middle, L1", mounts: [][]grpcect.Option{enforce, raised, enforce}, tokens: low, code: core.CodeLevel},
		{name: "observe, enforce, none", mounts: [][]grpcect.Option{observe, enforce}, tokens: none, code: core.CodeRequired},
		{name: "observe, enforce, good", mounts: [][]grpcect.Option{observe, enforce}, tokens: good, replayed: true},
		{name: "observe, enforce, bad", mounts: [][]grpcect.Option{observe, enforce}, tokens: bad, code: core.CodeMalformed},
		{name: "observe, optional, none", mounts: [][]grpcect.Option{observe, optional}, tokens: none, root: true, reported: []core.Code{core.CodeRequired}},
		{name: "observe, optional, good", mounts: [][]grpcect.Option{observe, optional}, tokens: good, replayed: true},
		{name: "observe, optional, bad", mounts: [][]grpcect.Option{observe, optional}, tokens: bad, code: core.CodeMalformed},
		{name: "observe, raised, L1", mounts: [][]grpcect.Option{observe, raised}, tokens: low, code: core.CodeLevel},
		{name: "observe, observe, good", mounts: [][]grpcect.Option{observe, observe}, tokens: good},
		{name: "observe, enforce, enforce, good", mounts: [][]grpcect.Option{observe, enforce, raised}, tokens: good, replayed: true},
		{name: "observe, optional, enforce, good", mounts: [][]grpcect.Option{observe, optional, enforce}, tokens: good, replayed: true},
		{name: "observe, optional, raised, L1", mounts: [][]grpcect.Option{observe, optional, raised}, tokens: low, code: core.CodeLevel},
	} {
		for _, records := range []bool{true, false} {
			for _, k := range kinds {
				name := c.name + "/" + k.name
				if !records {
					name += ", verify only"
				}
				t.Run(name, func(t *testing.T) {
					w := newWorld(t, acceptL1)
					if !records {
						w.verifyOnly(t)
					}
					w.mount(c.mounts...)
					called := 0
					cc := w.bare(t, hooked(talk(), func(ctx context.Context) error {
						called++
						core.TaskFromContext(ctx) // which begins one where no token came
						return nil
					}))
					tokens := c.tokens(t, w)
					o := present(t, cc, k.call, tokens...)
					if c.code != 0 {
						o.refused(t, c.code)
						if called != 0 || len(w.to.seen.tokens()) > 0 {
							t.Errorf("called %d times, %d tokens issued", called, len(w.to.seen.tokens()))
						}
						if got := w.to.seen.codes(); !slices.Contains(got, c.code) {
							t.Errorf("reported %v, want %v", got, c.code)
						}
						if c.code == core.CodeLevel { // the claim was given back
							w.server, w.serverOptions = nil, nil
							if o := present(t, w.bare(t, talk()), k.call, tokens...); o.err != nil {
								t.Errorf("the same token elsewhere: %v", o.err)
							}
						}
						return
					}
					if o.err != nil || called != 1 {
						t.Fatalf("%v, called %d times", o.err, called)
					}
					if diff := cmp.Diff(c.reported, w.to.seen.codes()); diff != "" {
						t.Errorf("reported (-want +got):\n%s", diff)
					}
					if all := w.to.seen.tokens(); records {
						if len(all) != 1 { // one task, one record
							t.Fatalf("issued %d tokens", len(all))
						}
						if cl := all[0].Claims(); (len(cl.Pred) == 0) != c.root || (len(o.tokens()) == 0) != c.root {
							t.Errorf("pred = %v, %d tokens came; want a root: %t", cl.Pred, len(o.tokens()), c.root)
						}
					}
					if c.root {
						return
					}
					if again := present(t, cc, k.call, tokens...); c.replayed {
						again.refused(t, core.CodeReplayed)
					} else if again.err != nil {
						t.Errorf("the same token again where nothing is claimed: %v", again.err)
					}
				})
			}
		}
	}
}

// TestVerifiedOnce: however often the interceptors are mounted, a message is verified once;
// under observe and then enforce, twice.
func TestVerifiedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		mounts [][]grpcect.Option
		want   int
	}{
		"alone":                 {[][]grpcect.Option{mode(core.Enforce)}, 1},
		"three times":           {[][]grpcect.Option{mode(core.Enforce), mode(core.Enforce), mode(core.Optional)}, 1},
		"observed twice":        {[][]grpcect.Option{mode(core.Observe), mode(core.Observe)}, 1},
		"observed, enforced":    {[][]grpcect.Option{mode(core.Observe), mode(core.Enforce)}, 2},
		"observed, enforced 2x": {[][]grpcect.Option{mode(core.Observe), mode(core.Enforce), mode(core.Enforce)}, 2},
	} {
		for _, k := range kinds {
			t.Run(name+"/"+k.name, func(t *testing.T) {
				verified := 0
				w := newWorld(t, func(w *world) {
					w.to.options = append(w.to.options, core.WithObserver(core.Observer{Verified: func(context.Context, *core.Received, core.VerifyInfo) { verified++ }}))
				})
				w.mount(c.mounts...)
				if o := present(t, w.bare(t, talk()), k.call, w.head(t)); o.err != nil {
					t.Fatal(o.err)
				}
				if verified != c.want {
					t.Errorf("verified %d times, want %d", verified, c.want)
				}
			})
		}
	}
}

// TestRefusalReportedOnce: however far in it is refused, a call is refused once.
func TestRefusalReportedOnce(t *testing.T) {
	for name, m := range map[string][][]grpcect.Option{
		"at once":  {mode(core.Enforce)},
		"enforce":  {mode(core.Observe), mode(core.Enforce)},
		"optional": {mode(core.Observe), mode(core.Optional)},
	} {
		for _, k := range kinds {
			t.Run(name+"/"+k.name, func(t *testing.T) {
				w := newWorld(t)
				token := w.head(t)
				if o := present(t, w.bare(t, talk()), k.call, token); o.err != nil {
					t.Fatal(o.err)
				}
				w.mount(m...)
				// Observing claims nothing, and so does not see that it was presented before.
				present(t, w.bare(t, talk()), k.call, token).refused(t, core.CodeReplayed)
				if diff := cmp.Diff([]core.Code{core.CodeReplayed}, w.to.seen.codes()); diff != "" {
					t.Errorf("reported (-want +got):\n%s", diff)
				}
			})
		}
	}
}
