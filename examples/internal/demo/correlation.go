// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"flag"
	"fmt"

	"github.com/go-ect/ect/otelbridge"
)

// Together returns the policy of services that agreed to have one trace of what they do
// together, where they show any of it: it goes on from one trust domain to the next.
func Together(p otelbridge.Policy) otelbridge.Policy {
	if p.Links != otelbridge.LinksNone {
		p.Edge = otelbridge.EdgeContinue
	}
	return p
}

// Correlation adds the flag -correlation, and returns what it is set to once the flags were
// parsed. It names a preset of the bridge, of which tasks is the one to begin with.
func Correlation(flags *flag.FlagSet) *otelbridge.Policy {
	p := otelbridge.ShowTasks()
	flags.Func("correlation", "what traces tell of tokens: `nothing, tasks or everything` (default tasks)", func(name string) error {
		switch name {
		case "nothing":
			p = otelbridge.ShowNothing()
		case "tasks":
			p = otelbridge.ShowTasks()
		case "everything":
			p = otelbridge.ShowEverything()
		default:
			return fmt.Errorf("%q is none of nothing, tasks and everything", name)
		}
		return nil
	})
	return &p
}
