package main

import (
	"fmt"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"kilter.dev/kilter/reconcile"
)

// tenancyOptions are the flags of kilter run that limit every Sync.
type tenancyOptions struct {
	serviceAccount   string
	noCrossNamespace bool
	namespaces       []string
	kinds            []string
}

func (o *tenancyOptions) add(flags *pflag.FlagSet) {
	flags.StringVar(&o.serviceAccount, "default-service-account", "",
		"ServiceAccount, in the Sync's namespace, to act as for Syncs without spec.serviceAccountName (default: Kilter's own)")
	flags.BoolVar(&o.noCrossNamespace, "no-cross-namespace", false, "let a Sync have objects in its own namespace only")
	flags.StringSliceVar(&o.namespaces, "allowed-namespaces", nil, "namespaces where Syncs may have objects (default: all)")
	flags.StringSliceVar(&o.kinds, "allowed-kinds", nil, "kinds that Syncs may have, such as ConfigMap, CronJob.batch or *.example.com (default: all)")
}

// rules checks the flags.
func (o *tenancyOptions) rules() (reconcile.Tenancy, error) {
	rules := reconcile.Tenancy{ServiceAccount: o.serviceAccount, OwnNamespace: o.noCrossNamespace, Namespaces: o.namespaces}
	if wrong := validation.IsDNS1123Subdomain(o.serviceAccount); o.serviceAccount != "" && len(wrong) > 0 {
		return rules, fmt.Errorf("--default-service-account %q: %s", o.serviceAccount, wrong[0])
	}
	for _, namespace := range o.namespaces {
		if wrong := validation.IsDNS1123Label(namespace); len(wrong) > 0 {
			return rules, fmt.Errorf("--allowed-namespaces %q: %s", namespace, wrong[0])
		}
	}
	for _, text := range o.kinds {
		kind, err := reconcile.ParseKindPattern(text)
		if err != nil {
			return rules, fmt.Errorf("--allowed-kinds: %w", err)
		}
		rules.Kinds = append(rules.Kinds, kind)
	}
	return rules, nil
}
