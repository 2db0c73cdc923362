// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"fmt"
	"log"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
	"github.com/go-ect/ect/otelbridge"
)

func ExamplePolicy() {
	// What a key management service gave the team.
	secret := secret(0)

	// readme: policy
	policy := otelbridge.Policy{
		Task:     otelbridge.Plain,     // whoever sees the traces may look tasks up
		Workflow: otelbridge.Plain,     // and collect those of a workflow,
		Action:   otelbridge.Plain,     // and see what each did,
		Issuer:   otelbridge.Pseudonym, // but not for whom
		Links:    otelbridge.LinksSameWorkflow,
		Keys: []otelbridge.PseudonymKey{
			{Epoch: "2026-q3", Secret: otelbridge.NewSecret(secret)},
		},
	}
	bridge, err := otelbridge.New("spiffe://example.org/billing", policy)
	if err != nil {
		log.Fatal(err) // it names the field
	}
	// end
	fmt.Println(policy.Audience, policy.Edge)

	err = bridge.SetKeys(nil)
	fmt.Println(err)
	// Output:
	// omit restart
	// otelbridge: Policy.Keys is empty
}

// Somebody has a record, and wants to see the trace of its task. The spans show tasks as
// pseudonyms.
func ExamplePolicy_Pseudonyms() {
	// The keys of docs/correlation.md. Keys are never printed like this.
	policy := otelbridge.ShowPseudonyms(
		otelbridge.PseudonymKey{
			Epoch: "2026-q3", From: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), Secret: otelbridge.NewSecret(secret(0)),
		},
		otelbridge.PseudonymKey{
			Epoch: "2026-q4", From: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), Secret: otelbridge.NewSecret(secret(32)),
		},
	)
	task, err := id.ParseUUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")
	if err != nil {
		log.Fatal(err)
	}
	workflow, err := id.ParseUUID("3f0c9c1e-8f1b-4a52-9d0e-5b7a1c2d3e4f")
	if err != nil {
		log.Fatal(err)
	}
	claims := core.Claims{
		TaskID:   task,
		Workflow: core.Workflow{ID: workflow, Present: true},
		IssuedAt: time.Date(2026, 9, 21, 12, 0, 0, 0, time.UTC),
	}

	// readme: search
	// Whoever holds the token, or its claims, searches for one value.
	found, err := policy.Pseudonyms(otelbridge.ClaimTask, claims.TaskID.String(), otelbridge.Token{
		TaskID: claims.TaskID, Workflow: claims.Workflow, IssuedAt: claims.IssuedAt,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s=%s\n", otelbridge.AttrTaskID, found[0])

	// Whoever does not know when it was issued searches for one value of each epoch.
	found, err = policy.Pseudonyms(otelbridge.ClaimTask, claims.TaskID.String(), otelbridge.Token{
		TaskID: claims.TaskID, Workflow: claims.Workflow,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, value := range found {
		fmt.Printf("or %s=%s\n", otelbridge.AttrTaskID, value)
	}
	// end

	// Output:
	// ect.task.id=2026-q3.0716a036687084b06dbeb7e6bbeb904d
	// or ect.task.id=2026-q3.0716a036687084b06dbeb7e6bbeb904d
	// or ect.task.id=2026-q4.4b3e232eb99dd6efba9355588ad8fd10
}
