// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import "go.opentelemetry.io/otel/attribute"

// Claim names a claim that a [Policy] decides on. The zero value is none.
type Claim uint8

// The claims. What is not among them is shown in no form.
const (
	// ClaimTask is the id of a task (`jti`).
	ClaimTask Claim = iota + 1
	// ClaimWorkflow is the id of a workflow (`wid`).
	ClaimWorkflow
	// ClaimAction is what was done (`exec_act`).
	ClaimAction
	// ClaimIssuer is who says so (`iss`).
	ClaimIssuer
	// ClaimAudience is whom it is said to (`aud`).
	ClaimAudience
	// ClaimInputHash is the hash of what came in (`inp_hash`).
	ClaimInputHash
	// ClaimOutputHash is the hash of what went out (`out_hash`).
	ClaimOutputHash
	// ClaimCheckpoint is the policy that a checkpoint names (`pol`).
	ClaimCheckpoint

	claimEnd
)

// claims is the one table of them: the name in a token, the attribute, and the field of
// the policy that decides.
var claims = [claimEnd]struct {
	name      string
	attribute attribute.Key
	field     string
	shown     func(*Policy) Disclosure
}{
	ClaimTask:       {"jti", AttrTaskID, "Task", func(p *Policy) Disclosure { return p.Task }},
	ClaimWorkflow:   {"wid", AttrWorkflowID, "Workflow", func(p *Policy) Disclosure { return p.Workflow }},
	ClaimAction:     {"exec_act", AttrAction, "Action", func(p *Policy) Disclosure { return p.Action }},
	ClaimIssuer:     {"iss", AttrIssuer, "Issuer", func(p *Policy) Disclosure { return p.Issuer }},
	ClaimAudience:   {"aud", AttrAudience, "Audience", func(p *Policy) Disclosure { return p.Audience }},
	ClaimInputHash:  {"inp_hash", AttrInputHash, "Hashes", func(p *Policy) Disclosure { return p.Hashes }},
	ClaimOutputHash: {"out_hash", AttrOutputHash, "Hashes", func(p *Policy) Disclosure { return p.Hashes }},
	ClaimCheckpoint: {"pol", AttrPolicy, "Checkpoint", func(p *Policy) Disclosure { return p.Checkpoint }},
}

// String returns the name that the claim has in a token, or "none".
func (c Claim) String() string {
	if c == 0 || c >= claimEnd {
		return "none"
	}
	return claims[c].name
}
