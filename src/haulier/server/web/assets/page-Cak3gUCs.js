import{u as e,P as a,t,E as r,S as i}from"./index-9jrdRjZC.js";function d(){return e(i,{children:[e(a,{title:t("shared.title")}),e(r,{icon:"people",title:t("shared.title")})]})}export{d as default};
