// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package demo_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/examples/internal/demo"
)

func TestAttempts(t *testing.T) {
	refused := demo.Reply{Status: "403", Code: "rejected"}
	try := func(got demo.Reply, err error) []demo.Attempt {
		return []demo.Attempt{{What: "a bad token", At: "billing", Due: refused,
			Send: func(context.Context) (demo.Reply, error) { return got, err }}}
	}
	var out bytes.Buffer
	if err := demo.Attempts(t.Context(), &out, try(refused, nil)); err != nil || !strings.Contains(out.String(), "yes") {
		t.Errorf("Attempts = %v and wrote\n%s", err, &out)
	}
	out.Reset()
	if err := demo.Attempts(t.Context(), &out, try(demo.Reply{Status: "200"}, nil)); err == nil || !strings.Contains(out.String(), "NO: 403 rejected was due") {
		t.Errorf("an answer that was not due: Attempts = %v and wrote\n%s", err, &out)
	}
	broken := errors.New("broken")
	if err := demo.Attempts(t.Context(), &out, try(demo.Reply{}, broken)); !errors.Is(err, broken) {
		t.Errorf("Attempts = %v, want %v", err, broken)
	}
}

func TestForgeRefuses(t *testing.T) {
	d := ecttest.NewDomain()
	for name, token := range map[string]string{
		"no token": "a.b", "no claims": "a.!.c", "no dispatch": d.Agent(t, "a").Token("spiffe://test.example/b").Sign(t),
	} {
		if f, err := demo.Forge(token); err == nil {
			t.Errorf("Forge of %s = %v, want an error", name, f)
		}
	}
}
