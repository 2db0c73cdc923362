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

	"github.com/go-jose/go-jose/v4"

	"github.com/go-ect/ect/core"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// exampleService is a service that trusts its own key alone, and tells its observer what
// it issues.
func exampleService(me string, issued func(*core.Issued)) *core.Service {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	jwks := must(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1"}}}))
	binder := must(core.NewStaticBinder(map[string]*core.KeySet{me: must(core.ParseKeySet(jwks))}))
	verifier := must(core.NewVerifier(binder, core.Policy{
		MinLevel: core.L2, Audience: me, Missing: core.RejectMissing,
		Replay: core.ReplayOncePerInstance, Body: core.BodyMatch,
	}, core.WithObserver(core.Observer{Issued: func(_ context.Context, i *core.Issued) { issued(i) }})))
	issuer := must(core.NewIssuer(me, must(core.NewSigner(key, "k1"))))
	return must(core.NewService(verifier, issuer, nil))
}

// A job that no request started records its steps; two branches of several steps each
// stand apart until they are joined.
func ExampleService_StartTask() {
	names := map[core.UUID]string{}
	s := exampleService("https://nightly.example", func(i *core.Issued) {
		c := i.Claims()
		after := []string{}
		for _, p := range c.Pred {
			after = append(after, names[p])
		}
		names[c.TaskID] = c.Action
		fmt.Printf("%s after %v\n", c.Action, after)
	})
	ctx, task, err := s.StartTask(context.Background(), "nightly_report")
	if err != nil {
		fmt.Println(err)
		return
	}
	step := func(ctx context.Context, action string) { must(task.Step(ctx, action, core.StepInput{})) }
	step(ctx, "fetch")
	for _, region := range []string{"north", "south"} {
		branch, b := task.Branch(ctx)
		defer b.Join()
		step(branch, "count_"+region)
		step(branch, "chart_"+region)
	}
	if err := task.Checkpoint(core.PolicyCheckpoint{Policy: "release/v1", Decision: core.Approved}); err != nil {
		fmt.Println(err)
	}
	must(task.Finish(ctx, core.Completion{}))
	// Output:
	// fetch after []
	// count_north after [fetch]
	// chart_north after [count_north]
	// count_south after [fetch]
	// chart_south after [count_south]
	// nightly_report after [chart_north chart_south]
}

// What a verifier answers is a code out of a closed set; what a peer may know of it is
// the class.
func ExampleVerifier_Verify() {
	s := exampleService("https://audit.example", func(*core.Issued) {})
	_, err := s.Verifier().Verify(context.Background(), core.Presented{Values: []string{"not.a.token"}})
	fmt.Println(core.CodeOf(err), core.CodeOf(err).Class().Sentence())
	fmt.Println(errors.Is(err, &core.Error{Code: core.CodeMalformed}))
	// Output:
	// malformed An execution context token is not well formed.
	// true
}
