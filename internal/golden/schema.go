package golden

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
)

// Violations returns what in a JSON document is not as the JSON schema in a file says. The error says that one of them cannot be read.
func Violations(schemaFile string, document []byte) ([]error, error) {
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		return nil, err
	}
	var schema spec.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, fmt.Errorf("%s: %w", schemaFile, err)
	}
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		return nil, err
	}
	return validate.NewSchemaValidator(&schema, nil, "", strfmt.Default).Validate(value).Errors, nil
}
