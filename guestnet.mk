# Copyright (C) 2026 The Android Open Source Project
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

# Puts guestnetd into a product: $(call inherit-product, PATH/guestnet.mk). The policy of the domains
# that call it (guestnet_client) is the product's own.
guestnet_dir := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

PRODUCT_PACKAGES += \
    guestnetctl \
    guestnetd

SYSTEM_EXT_PRIVATE_SEPOLICY_DIRS += $(guestnet_dir)/sepolicy/private
