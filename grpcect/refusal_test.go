// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/grpcect"
)

// refusals is the table of profile 9.4: the status code of each class, and the reason of
// its ErrorInfo.
var refusals = map[core.Class]struct {
	code   codes.Code
	reason string
}{
	core.ClassMalformed:   {codes.InvalidArgument, "ECT_MALFORMED"},
	core.ClassRejected:    {codes.PermissionDenied, "ECT_REJECTED"},
	core.ClassReplayed:    {codes.PermissionDenied, "ECT_REPLAYED"},
	core.ClassRequired:    {codes.PermissionDenied, "ECT_REQUIRED"},
	core.ClassTooLarge:    {codes.ResourceExhausted, "ECT_TOO_LARGE"},
	core.ClassUnsupported: {codes.Unimplemented, "ECT_UNSUPPORTED"},
	core.ClassUnavailable: {codes.Unavailable, "ECT_UNAVAILABLE"},
	core.ClassUnrecorded:  {codes.Internal, "ECT_UNRECORDED"},
}

// errorDomain is the domain of every ErrorInfo.
const errorDomain = "github.com/go-ect/ect"

func TestCode(t *testing.T) {
	docs, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range core.Codes() {
		want, ok := refusals[c.Class()]
		if !ok {
			t.Errorf("the class %v of code %v is in no table here", c.Class(), c)
		}
		if got := grpcect.Code(c); got != want.code || got == codes.Unauthenticated {
			t.Errorf("Code(%v) = %v, want %v", c, got, want.code)
		}
		if !bytes.Contains(docs, []byte("\n## "+c.Class().String()+"\n")) {
			t.Errorf("docs/errors.md has no section %q", c.Class())
		}
	}
	if got := grpcect.Code(0); got != codes.Internal {
		t.Errorf("Code(0) = %v, want Internal", got)
	}
}

// silentAbout fails if anything of the tokens that were sent came back.
func (o outcome) silentAbout(t testing.TB, w *world, values ...string) {
	t.Helper()
	st, err := proto.Marshal(status.Convert(o.err).Proto())
	if err != nil {
		t.Fatal(err)
	}
	dump := fmt.Appendf(nil, "%v\n%v\n%v\n%s", o.err, o.header, o.trailer, st)
	for _, s := range append(ecttest.Traces(values...), w.from.agent.Identity, w.from.agent.KeyID, w.to.agent.Identity) {
		if bytes.Contains(dump, []byte(s)) {
			t.Errorf("the refusal tells %q of the token:\n%s", s, dump)
		}
	}
}

// codeBinder refuses every key with one code.
type codeBinder struct{ code core.Code }

func (b codeBinder) Bind(context.Context, *core.Unverified, core.Evidence) (core.BoundKey, error) {
	return core.BoundKey{}, core.NewError(b.code, errors.New("the cause, for the log"))
}

// TestRefusalByCode: what a refusal of every code looks like, with detail and without.
func TestRefusalByCode(t *testing.T) {
	for _, code := range core.Codes() {
		for _, k := range kinds {
			for _, detailed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v/%s/%t", code, k.name, detailed), func(t *testing.T) {
					w := newWorld(t)
					var detail map[string]string
					if detailed {
						w.server = []grpcect.Option{grpcect.WithErrorDetail()}
						detail = map[string]string{"check": code.String()}
					}
					v, err := core.NewVerifier(codeBinder{code}, w.to.policy)
					if err != nil {
						t.Fatal(err)
					}
					if w.to.service, err = core.NewService(v, nil, nil); err != nil {
						t.Fatal(err)
					}
					called := 0
					token := w.head(t)
					o := present(t, w.bare(t, hooked(talk(), func(context.Context) error { called++; return nil })), k.call, token)
					isRefusal(t, o.err, code, detail)
					o.silentAbout(t, w, token)
					if called != 0 || len(o.tokens()) > 0 {
						t.Errorf("the handler was called %d times, and %d tokens came", called, len(o.tokens()))
					}
				})
			}
		}
	}
}
