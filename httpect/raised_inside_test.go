// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// recovering is a binder that cannot be asked at first.
type recovering struct {
	core.Binder
	asked *atomic.Int32
}

// Bind implements core.Binder.
func (b recovering) Bind(ctx context.Context, u *core.Unverified, e core.Evidence) (core.BoundKey, error) {
	if b.asked.Add(1) == 1 {
		return core.BoundKey{}, core.NewError(core.CodeUnavailable, errBroken)
	}
	return b.Binder.Bind(ctx, u, e)
}

// TestSecondLookAlone: the tokens that the outer middleware could not verify are good when
// the inner one enforces. The request went on as one without a head, so it is refused, and
// may come again.
func TestSecondLookAlone(t *testing.T) {
	body := []byte("what was recorded")
	for who, verifies := range map[string]bool{"recording": false, "verify only": true} {
		for _, inner := range []httpect.Mode{httpect.Enforce, httpect.Optional} {
			for name, sent := range map[string][]byte{"its body": body, "another body": []byte("evil")} {
				t.Run(fmt.Sprint(who, ", ", name, ", ", inner), func(t *testing.T) {
					protos(t, func(t *testing.T, proto string) {
						w := newWorld(t)
						var asked atomic.Int32
						service, _ := newService(t, recovering{w.domain, &asked}, w.to, setup{policy: w.to.Policy(), verifyOnly: verifies}, w.seen)
						handled := 0
						s := serve(t, proto, mounts(service, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
							handled++
							if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, body) {
								t.Errorf("the handler reads %q, %v", got, err)
							}
							if _, ok := core.ReceivedFromContext(r.Context()); !ok {
								t.Error("the handler has no head")
							}
						}), mode(httpect.Observe), mode(inner)))
						token := w.headOver(t, body)
						s.send(t, "POST", "/", bytes.NewReader(sent), token).refused(t, core.CodeUnavailable)
						if handled != 0 {
							t.Error("the handler was called")
						}
						w.seen.none(t)
						if r := s.send(t, "POST", "/", bytes.NewReader(body), token); r.StatusCode != 200 || handled != 1 {
							t.Errorf("the same again: %v (%s), the handler was called %d times", r, r.body, handled)
						}
					})
				})
			}
		}
	}
}

// TestRequiredInside: an inner middleware enforces, under BodyRequire, what the outer one
// observed. The body is bound before the handler runs, as it is where there is one alone.
func TestRequiredInside(t *testing.T) {
	observe, enforce := mode(httpect.Observe), mode(httpect.Enforce)
	for name, m := range map[string][][]httpect.Option{
		"alone": {enforce}, "enforced": {observe, enforce}, "optional": {observe, mode(httpect.Optional)},
		"observed twice": {observe, observe, enforce}, "enforced twice": {observe, enforce, enforce},
	} {
		for how, reader := range map[string]func([]byte) io.Reader{"sized": sized, "chunked": chunked} {
			for _, size := range []int{0, 9, httpect.HoldBack + 1, 100_000} {
				t.Run(fmt.Sprint(name, " ", how, " ", size), func(t *testing.T) {
					protos(t, func(t *testing.T, proto string) {
						w := newWorld(t, requireBody)
						body := counting(size)
						s := serve(t, proto, mounts(w.service, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
							task, _ := core.TaskFromContext(r.Context())
							if got := task.BodyState(); got != core.BodyBound {
								t.Errorf("BodyState = %v as the handler begins, want bound", got)
							}
							if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, body) {
								t.Errorf("ReadAll = %d bytes, %v", len(got), err)
							}
							if got := task.BodyState(); got != core.BodyBound {
								t.Errorf("BodyState = %v after all was read, want bound", got)
							}
						}), m...))
						if c := w.answer(t, s.send(t, "POST", "/", reader(body), w.headOver(t, body))).Claims(); c.InpHash != hashOf(body) {
							t.Errorf("inp_hash = %v", c.InpHash)
						}
						s.send(t, "POST", "/", reader(append(body, 'x')), w.headOver(t, body)).refused(t, core.CodeBody)
					})
				})
			}
		}
	}
}

// TestPartlyReadBetween: what stands between two middlewares has read the beginning of the
// body before the inner one enforces what the outer one observed. The end of a body that
// differs still does not reach the handler.
func TestPartlyReadBetween(t *testing.T) {
	const first = 2
	recorded := counting(100_000)
	for name, c := range map[string]struct {
		body, recorded []byte
		code           core.Code
	}{
		"small":      {[]byte("good body"), []byte("good body"), 0},
		"small, bad": {[]byte("evil body"), []byte("good body"), core.CodeBody},
		"large":      {recorded, recorded, 0},
		"large, bad": {append(counting(99_999), 'x'), recorded, core.CodeBody},
		"cut short":  {counting(99_999), recorded, core.CodeBody},
	} {
		for how, reader := range map[string]func([]byte) io.Reader{"sized": sized, "chunked": chunked} {
			t.Run(name+" "+how, func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					w := newWorld(t)
					inner := httpect.Middleware(w.service)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						got, err := io.ReadAll(r.Body)
						rest := c.body[first:]
						if c.code == 0 && (err != nil || !bytes.Equal(got, rest)) {
							t.Errorf("ReadAll = %d bytes, %v; want %d", len(got), err, len(rest))
						}
						if held := max(0, len(rest)-httpect.HoldBack); c.code != 0 && (core.CodeOf(err) != c.code || len(got) > held) {
							t.Errorf("ReadAll = %d bytes, %v; want at most %d of %d and that the body differs", len(got), err, held, len(rest))
						}
					}))
					peeks := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						if _, err := io.ReadFull(r.Body, make([]byte, first)); err != nil {
							t.Errorf("under Observe: %v", err)
						}
						inner.ServeHTTP(rw, r)
					})
					s := serve(t, proto, httpect.Middleware(w.service, httpect.WithMode(httpect.Observe))(peeks))
					r := s.send(t, "POST", "/", reader(c.body), w.headOver(t, c.recorded))
					if c.code == 0 {
						if got := w.answer(t, r).Claims().InpHash; got != hashOf(c.body) {
							t.Errorf("inp_hash = %v", got)
						}
						return
					}
					r.refused(t, c.code)
					if diff := cmp.Diff([]core.Code{c.code}, w.seen.codes(&w.seen.differed)); diff != "" {
						t.Errorf("reported as differing (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}
