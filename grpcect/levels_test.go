// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// methods are the full names of the methods of kinds, in their order.
var methods = []string{
	testpb.TestService_Unary_FullMethodName, testpb.TestService_ServerStream_FullMethodName,
	testpb.TestService_ClientStream_FullMethodName, testpb.TestService_BidiStream_FullMethodName,
}

// TestMinLevel: tokens below, at and above what all methods, or one, ask for.
func TestMinLevel(t *testing.T) {
	for n, k := range kinds {
		other := methods[(n+1)%len(methods)]
		for _, c := range []struct {
			name string
			opts []grpcect.Option
			// levels below it are refused.
			least core.Level
		}{
			{"the policy's", nil, core.L1},
			{"raised", []grpcect.Option{grpcect.WithMinLevel(core.L2)}, core.L2},
			{"raised to what nothing reaches", []grpcect.Option{grpcect.WithMinLevel(core.L3)}, core.L3},
			{"raised for this method", []grpcect.Option{grpcect.WithMethodMinLevel(methods[n], core.L2)}, core.L2},
			{"raised for another method", []grpcect.Option{grpcect.WithMethodMinLevel(other, core.L3)}, core.L1},
			{"raised for all, more for this one", []grpcect.Option{grpcect.WithMinLevel(core.L2), grpcect.WithMethodMinLevel(methods[n], core.L3)}, core.L3},
			{"raised for all, more for another", []grpcect.Option{grpcect.WithMinLevel(core.L2), grpcect.WithMethodMinLevel(other, core.L3)}, core.L2},
			{"the last of two", []grpcect.Option{grpcect.WithMethodMinLevel(methods[n], core.L3), grpcect.WithMethodMinLevel(methods[n], core.L2)}, core.L2},
		} {
			t.Run(k.name+"/"+c.name, func(t *testing.T) {
				w := newWorld(t, acceptL1, func(w *world) { w.server = c.opts })
				cc := w.bare(t, talk())
				for level, token := range map[core.Level]string{core.L1: w.unsigned(t), core.L2: w.head(t)} {
					o := present(t, cc, k.call, token)
					if level < c.least {
						o.refused(t, core.CodeLevel)
						// Nothing was claimed: it is refused for the same again.
						present(t, cc, k.call, token).refused(t, core.CodeLevel)
					} else if o.err != nil {
						t.Errorf("a token of level %v where %v is asked for: %v", level, c.least, o.err)
					}
				}
			})
		}
	}
}

// TestErrorDetail: what check failed is said where the option is, and nowhere else.
func TestErrorDetail(t *testing.T) {
	for _, k := range kinds {
		for name, c := range map[string]struct {
			token func(*world) string
			code  core.Code
		}{
			"malformed": {func(w *world) string { return w.head(t) + "." }, core.CodeMalformed},
			"audience":  {func(w *world) string { return w.from.agent.Token("spiffe://test.example/x").Sign(t) }, core.CodeAudience},
			"none":      {func(*world) string { return "" }, core.CodeRequired},
		} {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				w := newWorld(t, func(w *world) { w.server = []grpcect.Option{grpcect.WithErrorDetail()} })
				o := present(t, w.bare(t, talk()), k.call, c.token(w))
				isRefusal(t, o.err, c.code, map[string]string{"check": c.code.String()})
			})
		}
	}
}

// TestAction: what a task is called, by default, by the option and by its handler; and that
// a call whose action is none is refused before its handler, its claim given back.
func TestAction(t *testing.T) {
	long := strings.Repeat("a", core.MaxActionBytes)
	for n, k := range kinds {
		for _, c := range []struct {
			name   string
			opts   []grpcect.Option
			set    string
			action string
		}{
			{"the method", nil, "", methods[n][1:]},
			{"by the option", []grpcect.Option{grpcect.WithAction(func(m string) string { return "did " + m })}, "", "did " + methods[n]},
			{"by the handler", []grpcect.Option{grpcect.WithAction(func(m string) string { return "did " + m })}, "chosen", "chosen"},
			{"as long as can be", []grpcect.Option{grpcect.WithAction(func(string) string { return long })}, "", long},
			{"too long", []grpcect.Option{grpcect.WithAction(func(string) string { return long + "a" })}, "", ""},
			{"none", []grpcect.Option{grpcect.WithAction(func(string) string { return "" })}, "", ""},
		} {
			t.Run(k.name+"/"+c.name, func(t *testing.T) {
				w := newWorld(t, func(w *world) { w.server = c.opts })
				cc := w.bare(t, hooked(talk(), func(ctx context.Context) error {
					task, _ := core.TaskFromContext(ctx)
					if c.set != "" {
						return task.SetAction(c.set)
					}
					return nil
				}))
				token := w.head(t)
				o := present(t, cc, k.call, token)
				if c.action == "" {
					o.refused(t, core.CodeUnavailable)
					present(t, cc, k.call, token).refused(t, core.CodeUnavailable) // not replayed
					if diff := cmp.Diff([]core.Code{core.CodeUnavailable, core.CodeUnavailable}, w.to.seen.codes()); diff != "" {
						t.Errorf("reported (-want +got):\n%s", diff)
					}
					return
				}
				if got := w.answer(t, o).Claims().Action; got != c.action {
					t.Errorf("exec_act = %q, want %q", got, c.action)
				}
			})
		}
	}
}
