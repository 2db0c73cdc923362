// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest

import (
	"slices"
	"strings"

	"github.com/go-ect/ect/core"
)

// Traces returns the texts that could tell somebody of the tokens in the values of a
// message, good or bad: the parts that they consist of and, as far as they can be read, who
// issued them and for whom, their ids and key ids. What a sender is told of a refusal holds
// none of them (profile 4.3). Parts of less than eight bytes are left out, as they may stand
// anywhere.
func Traces(values ...string) []string {
	all := []string{}
	add := func(texts ...string) {
		for _, t := range texts {
			if len(t) >= 8 && !slices.Contains(all, t) {
				all = append(all, t)
			}
		}
	}
	for _, v := range values {
		for element := range strings.SplitSeq(v, ",") {
			token := strings.Trim(element, " \t")
			add(strings.Split(token, ".")...)
			u, err := core.ParseWithoutVerification(token)
			if err != nil {
				continue
			}
			c := u.ClaimsWithoutVerification()
			add(u.ClaimedIssuer(), u.KeyID(), c.TaskID.String(), c.Workflow.String())
			add(c.Audience...)
			for _, p := range c.Pred {
				add(p.String())
			}
		}
	}
	return all
}
