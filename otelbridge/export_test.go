// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import "github.com/go-ect/ect/core"

// Disclosing is a policy at work, as the bridge uses it.
type Disclosing = disclosure

// NewDisclosure is what New does with a policy.
var NewDisclosure = newDisclosure

func (d *disclosure) Rekey(keys []PseudonymKey) error { return d.rekey(keys) }

// Show shows a claim by the method that the bridge uses for it. Ids and hashes are those of
// the token and h.
func (d *disclosure) Show(c Claim, of Token, text string, h core.Hash) (string, bool) {
	switch c {
	case ClaimTask:
		return d.task(of)
	case ClaimWorkflow:
		return d.workflow(of)
	case ClaimInputHash, ClaimOutputHash:
		return d.hash(c, of, h)
	}
	return d.text(c, of, text)
}

// Admits asks for a link to a predecessor by its issuer, "" where it is unsigned.
func (d *disclosure) Admits(own, pred core.Workflow, issuer string) bool {
	return d.admits(own, pred, d.home(issuer))
}

func (d *disclosure) Home(identity string) bool { return d.home(identity) }

// Claims has what the table says of every claim.
func Claims() (all []struct {
	Claim Claim
	Field string
	Shown func(*Policy) Disclosure
}) {
	for c := ClaimTask; c < claimEnd; c++ {
		all = append(all, struct {
			Claim Claim
			Field string
			Shown func(*Policy) Disclosure
		}{c, claims[c].field, claims[c].shown})
	}
	return all
}
