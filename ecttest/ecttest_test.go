// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// TestService is how a service tests its own routes with the kit: a good token gets
// through, and none of the bad ones reaches the handler.
func TestService(t *testing.T) {
	domain := ecttest.NewDomain()
	shop, billing := domain.Agent(t, "shop"), domain.Agent(t, "billing")
	service := domain.Service(t, billing, core.Audience{ID: shop.Identity, Tokens: true})
	called := 0
	handler := httpect.Middleware(service, httpect.WithProblemDetail())(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called++ }))
	post := func(token string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/invoices", nil)
		r.Header.Set(httpect.FieldName, token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	for _, bad := range ecttest.BadTokens() {
		w := post(bad.Mint(t, domain, shop, billing.Identity))
		if want := httpect.Status(bad.Code); w.Code != want || called != 0 {
			t.Errorf("%s: status %d, want %d; the handler was called %d times", bad.Name, w.Code, want, called)
		}
	}
	if w := post(shop.Token(billing.Identity).Sign(t)); w.Code != http.StatusOK || called != 1 || w.Header().Get(httpect.FieldName) == "" {
		t.Errorf("a good token: status %d, the handler was called %d times", w.Code, called)
	}
}

// TestDomain: keys are bound as long as the domain knows the agent, and not where its
// keys cannot be had.
func TestDomain(t *testing.T) {
	domain := ecttest.NewDomain()
	from, to := domain.Agent(t, "from"), domain.Agent(t, "to")
	if domain.Agent(t, "from") != from {
		t.Error("an agent of the same name is another")
	}
	verify := func() core.Code {
		v := domain.Service(t, to).Verifier()
		_, err := v.Verify(t.Context(), core.Presented{Values: []string{from.Token(to.Identity).Sign(t)}})
		return core.CodeOf(err)
	}
	if c := verify(); c != 0 {
		t.Errorf("a token of the domain: %v", c)
	}
	domain.Fail(http.ErrServerClosed)
	if c := verify(); c != core.CodeUnavailable {
		t.Errorf("keys that cannot be had: %v", c)
	}
	domain.Fail(nil)
	domain.Remove(from)
	if c := verify(); c != core.CodeKeyUnknown {
		t.Errorf("an agent that was removed: %v", c)
	}
}
