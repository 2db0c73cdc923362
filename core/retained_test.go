// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"unsafe"
	"weak"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
)

// textStore is a task store that notes what texts it is given to keep.
type textStore struct {
	dag.Store
	signed, unsigned []string
}

func (s *textStore) Admit(ctx context.Context, p *dag.Proposal) ([]dag.Judgement, error) {
	for _, e := range p.Batch {
		if e.Key.Signed {
			s.signed = append(s.signed, e.Token)
		} else {
			s.unsigned = append(s.unsigned, e.Token)
		}
	}
	return s.Store.Admit(ctx, p)
}

// TestUnsignedTextIsNotStored: the text of a signed token is kept as evidence; that of
// an unsigned one, which anybody can make, takes no room in the task store.
func TestUnsignedTextIsNotStored(t *testing.T) {
	s := newScene(t)
	p := s.policy
	p.MinLevel = core.L1
	store := &textStore{Store: taskStore(t, dag.MemoryConfig{})}
	v := verifier(t, s.Domain, p, core.WithTaskStore(store))
	root := s.token().Unsigned(t)
	signed := s.token().After(t, true, root).Sign(t)
	r := wantAccepted(t, v, signed, root, s.token().Unsigned(t))
	if len(store.signed) != 1 || store.signed[0] != r.Heads()[0].Text() {
		t.Errorf("of signed tokens the store keeps %q, want %q", store.signed, r.Heads()[0].Text())
	}
	if len(store.unsigned) != 2 || strings.Join(store.unsigned, "") != "" {
		t.Errorf("of unsigned tokens the store keeps %q", store.unsigned)
	}
	if got := r.Context()[0].Text(); got != root {
		t.Errorf("Text() of the unsigned token = %q, want %q", got, root)
	}
}

// TestFieldIsNotRetained: a token is kept, and not the field value that it stood in,
// which may be as large as a message and mostly commas.
func TestFieldIsNotRetained(t *testing.T) {
	s := newScene(t)
	p := s.policy
	p.MinLevel = core.L1
	for name, mint := range map[string]func() string{
		"signed": func() string { return s.token().Sign(t) }, "unsigned": func() string { return s.token().Unsigned(t) },
	} {
		t.Run(name, func(t *testing.T) {
			v := verifier(t, s.Domain, p)
			r, field := verifyPadded(t, v, mint())
			runtime.GC()
			if field.Value() != nil {
				t.Error("the field value is kept by the verifier or what it returned")
			}
			runtime.KeepAlive(v)
			runtime.KeepAlive(r)
		})
	}
}

// verifyPadded presents a token amid as many commas and blanks as a message may hold,
// and returns what tells whether the field value is still there.
//
//go:noinline
func verifyPadded(t *testing.T, v *core.Verifier, token string) (*core.Received, weak.Pointer[byte]) {
	t.Helper()
	pad := strings.Repeat(" ,\t", (core.DefaultTotalBytes-len(token))/6)
	value := strings.Join([]string{pad, token, pad}, "")
	return wantAccepted(t, v, value), weak.Make(unsafe.StringData(value))
}
