// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/go-ect/ect/core"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// exampleGraph says what was issued after what.
type exampleGraph struct {
	mu    sync.Mutex
	names map[core.UUID]string
	after map[string][]string
}

// issued takes a token down; it is told by the observers of services.
func (g *exampleGraph) issued(_ context.Context, i *core.Issued) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := i.Claims()
	after := []string{}
	for _, p := range c.Pred {
		after = append(after, g.names[p])
	}
	slices.Sort(after)
	if g.names == nil {
		g.names, g.after = map[core.UUID]string{}, map[string][]string{}
	}
	g.names[c.TaskID], g.after[c.Action] = c.Action, after
}

// print prints what tokens of those actions came after.
func (g *exampleGraph) print(actions ...string) {
	for _, a := range actions {
		fmt.Println(a, "after", g.after[a])
	}
}

// exampleServices makes services that trust each other's keys and tell each other, a
// generation of context included. Messages between them may wait for a day.
func exampleServices(g *exampleGraph, identities ...string) (services []*core.Service) {
	keys, sets := map[string]*ecdsa.PrivateKey{}, map[string]*core.KeySet{}
	var audiences []core.Audience
	for _, me := range identities {
		keys[me] = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		jwks := must(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: keys[me].Public(), KeyID: "k1"}}}))
		sets[me] = must(core.ParseKeySet(jwks))
		audiences = append(audiences, core.Audience{ID: me, Tokens: true, Hashes: true, Context: 1})
	}
	binder := must(core.NewStaticBinder(sets))
	for _, me := range identities {
		verifier := must(core.NewVerifier(binder, core.Policy{
			MinLevel: core.L2, Audience: me, Missing: core.RejectMissing,
			Replay: core.ReplayOncePerInstance, Body: core.BodyRequire,
			MaxAge: new(24 * time.Hour),
		}, core.WithObserver(core.Observer{Issued: g.issued})))
		issuer := must(core.NewIssuer(me, must(core.NewSigner(keys[me], "k1")), core.WithLifetime(24*time.Hour)))
		services = append(services, must(core.NewService(verifier, issuer, must(core.NewAudiences(audiences...)))))
	}
	return services
}

// What a verifier answers is a code out of a closed set; what a peer may know of it is
// the class.
func ExampleVerifier_Verify() {
	audit := exampleServices(&exampleGraph{}, "https://audit.example")[0]
	_, err := audit.Verifier().Verify(context.Background(), core.Presented{Values: []string{"not.a.token"}})
	fmt.Println(core.CodeOf(err), core.CodeOf(err).Class().Sentence())
	fmt.Println(errors.Is(err, &core.Error{Code: core.CodeMalformed}))
	// Output:
	// malformed An execution context token is not well formed.
	// true
}
